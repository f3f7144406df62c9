import { status } from '@grpc/grpc-js';

import { sleep } from '../../runtime/deadline.js';
import { FractoryError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { Endpoint } from '../core/member.js';
import type { GossipCounts } from '../counts.js';
import { endpointText } from '../net/address.js';
import { Slices } from '../net/sliced.js';
import { SerfMember } from '../serf/serf-member.js';
import type { SerfOptions, TaggedMember } from '../serf/serf-member.js';
import { HostLook } from './host-facts.js';
import type { HostFacts } from './host-facts.js';
import { decodeEntry, encodeEntry, ReplicatedMap } from './replicated-map.js';

export type AgentOptions = Omit<SerfOptions, 'events'> & { readonly log?: Logger };

/** Name of the events that carry entries of the map, as agents of Serf see them. */
const EVENT = 'fractory.map';

/** Who else calls itself like this member, if somebody was heard to. */
class Namesake {
  #heard: Endpoint | undefined;

  hear(other: Endpoint): void {
    this.#heard = other;
  }

  /** Heard since this was asked last. */
  take(): Endpoint | undefined {
    const heard = this.#heard;
    this.#heard = undefined;
    return heard;
  }
}

/** An edge agent: a member with a map that all agents share, and facts of its machine. */
export class Agent implements AsyncDisposable {
  readonly map: ReplicatedMap;
  readonly #member: SerfMember;
  readonly #host = new HostLook();
  readonly #startedMs = performance.now();
  readonly #namesake: Namesake;

  private constructor(member: SerfMember, map: ReplicatedMap, namesake: Namesake) {
    this.#member = member;
    this.map = map;
    this.#namesake = namesake;
  }

  static async start(options: AgentOptions): Promise<Agent> {
    const map = new ReplicatedMap(options.name);
    const namesake = new Namesake();
    const slices = new Slices();
    const member = await SerfMember.create({
      ...options,
      onChange: (change) => {
        if (change.kind === 'conflict' && change.member.name === options.name)
          namesake.hear(change.other);
        options.onChange?.(change);
      },
      events: {
        name: EVENT,
        onEvent: (bytes) => {
          map.merge(decodeEntry(bytes));
        },
        state: () => slices.run(map.encodingAll()),
        mergeState: (bytes) => slices.run(map.mergingAll(bytes)),
      },
    });
    return new Agent(member, map, namesake);
  }

  members(): TaggedMember[] {
    return this.#member.members();
  }

  get local(): TaggedMember {
    return this.#member.local;
  }

  /** How this member sees itself: 0 = well, up to 7. */
  get awareness(): number {
    return this.#member.list.awareness;
  }

  /** What came and went, and what was dropped and why. */
  get counts(): GossipCounts {
    return this.#member.list.counts;
  }

  host(): HostFacts {
    return this.#host.now();
  }

  /** Of this agent, s. */
  get uptimeSeconds(): number {
    return Math.round((performance.now() - this.#startedMs) / 1000);
  }

  /** Errors: UNAVAILABLE where nobody answered; ALREADY_EXISTS where another member has this one's name: then it is seen by nobody, and must not say goodbye in that name. */
  async join(addresses: readonly string[]): Promise<number> {
    this.#namesake.take();
    const reached = await this.#member.join(addresses);
    const other = this.#namesake.take();
    if (!other) return reached;
    const taken = `the name ${this.local.name} is taken by ${endpointText(other)}`;
    const why = `${taken}: give another one, or start at that address`;
    throw new FractoryError(status.ALREADY_EXISTS, 'NAME_TAKEN', why);
  }

  /** Tries until one answers (see `join`), or the signal aborts: a seed may come later. `onRefused` hears of each try that failed. */
  async joinSooner(
    addresses: readonly string[],
    signal: AbortSignal,
    onRefused: (why: string, againInMs: number) => void,
  ): Promise<void> {
    for (let waitMs = 500; !signal.aborted; waitMs = Math.min(10_000, 2 * waitMs))
      try {
        await this.join(addresses);
        return;
      } catch (error) {
        if (error instanceof FractoryError && error.reason !== 'NOT_JOINED') throw error;
        onRefused(messageOf(error), waitMs);
        await sleep(waitMs, signal);
      }
  }

  /** Writes, and tells everybody. */
  set(key: string, value: string): void {
    this.#member.event(EVENT, encodeEntry(this.map.set(key, value)));
  }

  /** False where there is nothing to delete. */
  delete(key: string): boolean {
    const entry = this.map.delete(key);
    if (entry) this.#member.event(EVENT, encodeEntry(entry));
    return entry !== undefined;
  }

  leave(): Promise<void> {
    return this.#member.leave();
  }

  stop(): Promise<void> {
    return this.#member.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
