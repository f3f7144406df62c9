import { FractoryError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { silentLogger } from '../../runtime/logger.js';
import { SerfMember } from '../serf/serf-member.js';
import type { SerfOptions, TaggedMember } from '../serf/serf-member.js';
import { WireError } from '../wire/wire-error.js';
import { HostLook } from './host-facts.js';
import type { HostFacts } from './host-facts.js';
import { decodeAll, decodeEntry, encodeEntry, ReplicatedMap } from './replicated-map.js';

export type AgentOptions = Omit<SerfOptions, 'delegate'> & { readonly log?: Logger };

/** Name of the events that carry entries of the map, as agents of Serf see them. */
const EVENT = 'fractory.map';

/** An edge agent: a member with a map that all agents share, and facts of its machine. */
export class Agent implements AsyncDisposable {
  readonly map: ReplicatedMap;
  readonly #member: SerfMember;
  readonly #host = new HostLook();
  readonly #startedMs = performance.now();

  private constructor(member: SerfMember, map: ReplicatedMap) {
    this.#member = member;
    this.map = map;
  }

  static async start(options: AgentOptions): Promise<Agent> {
    const map = new ReplicatedMap(options.name);
    const { log = silentLogger() } = options;
    const understood = (what: () => void): void => {
      try {
        what();
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        log.debug({ problem: error.message }, 'an entry of the map was not understood');
      }
    };
    const member = await SerfMember.create({
      ...options,
      events: {
        name: EVENT,
        onEvent: (bytes) => {
          understood(() => map.merge(decodeEntry(bytes)));
        },
        state: () => map.encodeAll(),
        mergeState: (bytes) => {
          understood(() => {
            for (const entry of decodeAll(bytes)) map.merge(entry);
          });
        },
      },
    });
    return new Agent(member, map);
  }

  members(): TaggedMember[] {
    return this.#member.members();
  }

  get local(): TaggedMember {
    const { name } = this.#member.list.localMember();
    const found = this.members().find((member) => member.name === name);
    if (!found) throw new Error('this member is not in its own list');
    return found;
  }

  /** How this member sees itself: 0 = well, up to 7. */
  get awareness(): number {
    return this.#member.list.awareness;
  }

  host(): HostFacts {
    return this.#host.now();
  }

  /** Of this agent, s. */
  get uptimeSeconds(): number {
    return Math.round((performance.now() - this.#startedMs) / 1000);
  }

  join(addresses: readonly string[]): Promise<number> {
    return this.#member.join(addresses);
  }

  /** Tries until one answers, or the signal aborts: a seed may come later. `onRefused` hears of each try that failed. */
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
        await pause(waitMs, signal);
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

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
