import { systemClock } from '../../runtime/clock.js';
import type { Clock } from '../../runtime/clock.js';
import type { MemberChange } from '../core/membership.js';
import type { MemberView } from '../core/member.js';
import { lan } from '../core/profile.js';
import { Memberlist } from '../memberlist.js';
import type { MemberlistOptions } from '../memberlist-options.js';
import { endpointText } from '../net/address.js';
import { distance } from './coordinate.js';
import type { Coordinate } from './coordinate.js';
import type { UserEvent } from './events.js';
import type { KeyChange } from './internal-queries.js';
import { Reconnection } from './reconnection.js';
import { SerfVoice } from './serf-voice.js';
import { decodeTags, encodeTags } from './tags.js';
import type { Tags } from './tags.js';

export type SerfOptions = Omit<MemberlistOptions, 'meta' | 'delegateVersions' | 'delegate'> & {
  readonly tags?: Tags;
  readonly events?: EventDelegate;
  /** Hears every event of a program, once each, whoever told it; those of `events` not. */
  readonly onEvent?: (event: UserEvent) => void;
  /** Hears that an operator (`serf keys`) had a key installed, used or removed here, or what kept it from that. */
  readonly onRekeyed?: (how: KeyChange, problem: string | undefined) => void;
};

/** What a program on top tells all members, and hears from them. What it hears it may refuse with a WireError, which is counted. */
export interface EventDelegate {
  /** Only events of this name are heard; others are passed on. */
  readonly name: string;
  onEvent(payload: Uint8Array): void;
  /** All that was told so far, for those who come late. */
  state(): Uint8Array | Promise<Uint8Array>;
  mergeState(state: Uint8Array): void | Promise<void>;
}

/** A member with its tags. */
export interface TaggedMember extends MemberView {
  readonly tags: Tags;
}

/** Versions of Serf's own protocol: understood from and to, and spoken. */
const SERF_VERSIONS = [2, 5, 5] as const;

/**
 * A member among agents of Serf: its tags are seen, and it shows as `left` when it leaves, since it says so beforehand in Serf's own words. Messages of Serf that are
 * for everybody are passed on, queries are acknowledged, and pings carry network coordinates, as with every agent.
 */
export class SerfMember implements AsyncDisposable {
  readonly list: Memberlist;
  readonly #voice: SerfVoice;
  readonly #reconnection: Reconnection;
  readonly #clock: Clock;

  private constructor(
    list: Memberlist,
    voice: SerfVoice,
    reconnection: Reconnection,
    clock: Clock,
  ) {
    this.list = list;
    this.#voice = voice;
    this.#reconnection = reconnection;
    this.#clock = clock;
  }

  static async create(options: SerfOptions): Promise<SerfMember> {
    const { events, onEvent, onRekeyed, tags = {}, onChange, ...rest } = options;
    const { clock = systemClock, random = Math.random } = options;
    // Before the list, which tells of this member itself as it opens; it is asked for later, by timers.
    const reconnection = new Reconnection({
      ...{ clock, random, profile: options.profile ?? lan },
      here: () => list.members().length,
      exchange: (withWhom, done) => {
        // Not there: as was to be expected.
        list.join([endpointText(withWhom)]).then(done, () => undefined);
      },
    });
    const voice = new SerfVoice({
      ...{ name: options.name, keyring: options.keyring, random },
      ...(options.log ? { log: options.log } : {}),
      ...(events ? { events } : {}),
      onEvent: (event) => onEvent?.(event),
      onRekeyed: (how, problem) => onRekeyed?.(how, problem),
      onChange: (change) => {
        reconnection.changed(change);
        onChange?.(change);
      },
      onPruned: (name) => {
        reconnection.forget(name);
      },
    });
    const list: Memberlist = await Memberlist.create({
      ...rest,
      ...{ meta: encodeTags(tags), delegateVersions: SERF_VERSIONS, delegate: voice },
      onChange: (change: MemberChange) => {
        voice.changed(change);
      },
    });
    voice.attach(list);
    return new SerfMember(list, voice, reconnection, clock);
  }

  /** All that are known, gone ones too, with their tags; whom an operator had removed not. */
  members(): TaggedMember[] {
    const seen = this.list.allMembers().map((view) => this.#voice.seen(view));
    return seen
      .filter((view) => view !== undefined)
      .map((view) => ({ ...view, tags: decodeTags(view.meta) }));
  }

  /** This one. */
  get local(): TaggedMember {
    const view = this.list.localMember();
    return { ...view, tags: decodeTags(view.meta) };
  }

  async join(addresses: readonly string[]): Promise<number> {
    const reached = await this.#voice.joining(() => this.list.join(addresses));
    this.#voice.sayJoined();
    return reached;
  }

  /**
   * Tells all members, agents of Serf too, who see an event of this name. `coalesce`: handlers of agents may take several as one. INVALID_ARGUMENT where it does not fit into a packet.
   */
  event(name: string, payload: Uint8Array, coalesce = false): void {
    this.#voice.sayEvent(name, payload, coalesce);
  }

  setTags(tags: Tags): Promise<void> {
    return this.list.updateMeta(encodeTags(tags));
  }

  /** Where this member is, by the round trips of its pings. */
  get coordinate(): Coordinate {
    return this.#voice.coordinate;
  }

  /** Estimated round trip to a member, ms; undefined where it did not answer a ping yet. */
  roundTripMs(name: string): number | undefined {
    const other = this.#voice.coordinateOf(name);
    return other && 1000 * distance(this.coordinate, other);
  }

  /** Has agents forget a member that failed: it shows as left, with `prune` not at all. One that lives says so and stays. */
  forceLeave(name: string, prune = false): void {
    this.#voice.sayLeft(name, prune);
  }

  /** Says that it means to go, then goodbye; resolves when both were passed on, or after so long. */
  async leave(timeoutMs = 5000): Promise<void> {
    this.#reconnection.stop();
    const untilMs = this.#clock.monotonicMs() + timeoutMs;
    if (this.list.members().length > 1)
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.schedule(timeoutMs / 2, resolve);
        void this.#voice.sayLeaving().then(() => {
          cancel();
          resolve();
        });
      });
    await this.list.leave(Math.max(1, untilMs - this.#clock.monotonicMs()));
  }

  stop(): Promise<void> {
    this.#reconnection.stop();
    return this.list.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
