import { Memberlist } from '../memberlist.js';
import type { MemberlistOptions } from '../memberlist.js';
import type { MemberView } from '../core/member.js';
import { WireError } from '../wire/wire-error.js';
import {
  clockOf,
  decodeState,
  decodeUserEvent,
  encodeJoin,
  encodeLeave,
  encodeState,
  encodeUserEvent,
  SerfType,
} from './intents.js';
import { decodeTags, encodeTags } from './tags.js';
import type { Tags } from './tags.js';

export type SerfOptions = Omit<MemberlistOptions, 'meta' | 'delegateVersions' | 'delegate'> & {
  readonly tags?: Tags;
  readonly events?: EventDelegate;
};

/** What a program on top tells all members, and hears from them. */
export interface EventDelegate {
  /** Only events of this name are heard; others are passed on. */
  readonly name: string;
  onEvent(payload: Uint8Array): void;
  /** All that was told so far, for those who come late. */
  state(): Uint8Array;
  mergeState(state: Uint8Array): void;
}

/** A member with its tags. */
export interface TaggedMember extends MemberView {
  readonly tags: Tags;
}

/** Versions of Serf's own protocol: understood from and to, and spoken. */
const SERF_VERSIONS = [2, 5, 5] as const;
/** Messages that are remembered as heard. */
const MAX_HEARD = 4096;

/**
 * A member among agents of Serf: its tags are seen, and it shows as `left` when it leaves, since it says so beforehand in Serf's own words. Messages of Serf that are
 * for everybody are passed on, as every agent does.
 */
export class SerfMember implements AsyncDisposable {
  readonly list: Memberlist;
  readonly #name: string;
  readonly #time: LamportTime;
  readonly #eventTime: LamportTime;

  private constructor(list: Memberlist, name: string, times: readonly [LamportTime, LamportTime]) {
    this.list = list;
    this.#name = name;
    [this.#time, this.#eventTime] = times;
  }

  static async create(options: SerfOptions): Promise<SerfMember> {
    const time = new LamportTime();
    const eventTime = new LamportTime();
    const heard = new Set<string>();
    const { events, tags = {}, ...rest } = options;
    const onUserMessage = (bytes: Uint8Array): void => {
      time.witness(clockOf(bytes));
      const event = decodeUserEvent(bytes);
      eventTime.witness(event?.time);
      if (!isForAll(bytes) || !isNews(heard, bytes)) return;
      if (event && event.name === events?.name) events.onEvent(event.payload);
      void list.broadcast(bytes);
    };
    const mergeState = (bytes: Uint8Array): void => {
      const state = decodeState(bytes);
      time.witness(state?.time);
      eventTime.witness(state?.eventTime);
      if (state && state.ours.length > 0) events?.mergeState(state.ours);
    };
    const list: Memberlist = await Memberlist.create({
      ...rest,
      meta: encodeTags(tags),
      delegateVersions: SERF_VERSIONS,
      delegate: {
        onUserMessage: (bytes) => {
          understood(() => {
            onUserMessage(bytes);
          });
        },
        localState: () => {
          const ours = events?.state() ?? new Uint8Array();
          return encodeState({ time: time.now, eventTime: eventTime.now, ours });
        },
        mergeState: (bytes) => {
          understood(() => {
            mergeState(bytes);
          });
        },
      },
    });
    return new SerfMember(list, options.name, [time, eventTime]);
  }

  /** All that are known, gone ones too, with their tags. */
  members(): TaggedMember[] {
    return this.list.allMembers().map((view) => ({ ...view, tags: decodeTags(view.meta) }));
  }

  async join(addresses: readonly string[]): Promise<number> {
    const reached = await this.list.join(addresses);
    void this.list.broadcast(encodeJoin({ time: this.#time.next(), name: this.#name }));
    return reached;
  }

  /** Tells all members, agents of Serf too, who see an event of this name. */
  event(name: string, payload: Uint8Array): void {
    const time = this.#eventTime.next();
    void this.list.broadcast(encodeUserEvent({ time, name, payload, coalesce: false }));
  }

  setTags(tags: Tags): Promise<void> {
    return this.list.updateMeta(encodeTags(tags));
  }

  /** Says that it means to go, then goodbye; resolves when both were passed on, or after so long. */
  async leave(timeoutMs = 5000): Promise<void> {
    const { list } = this;
    if (list.members().length > 1) {
      const intent = encodeLeave({ time: this.#time.next(), name: this.#name, prune: false });
      const told = list.broadcast(intent);
      await Promise.race([told, passed(timeoutMs)]);
    }
    await list.leave(timeoutMs);
  }

  stop(): Promise<void> {
    return this.list.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A clock that only goes on when something is said: what comes later has the higher time. */
class LamportTime {
  #time = 0;

  get now(): number {
    return this.#time;
  }

  /** The time of something that this member says. */
  next(): number {
    this.#time++;
    return this.#time;
  }

  witness(time = 0): void {
    this.#time = Math.max(this.#time, time);
  }
}

/** Messages of programs that we don't know may look like anything. */
function understood(what: () => void): void {
  try {
    what();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
}

const FOR_ALL: ReadonlySet<number | undefined> = new Set([
  SerfType.leave,
  SerfType.join,
  SerfType.userEvent,
]);

function isForAll(message: Uint8Array): boolean {
  return FOR_ALL.has(message[0]);
}

function isNews(heard: Set<string>, message: Uint8Array): boolean {
  const key = Buffer.from(message).toString('latin1');
  if (heard.has(key)) return false;
  heard.add(key);
  const [oldest] = heard;
  if (heard.size > MAX_HEARD && oldest !== undefined) heard.delete(oldest);
  return true;
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
