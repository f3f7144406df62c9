import { sleep } from '../../runtime/deadline.js';
import { messageOf, unavailable } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { Registration } from '../../zookeeper/coordinator.js';
import type { Device } from './device.js';
import type { KernelCounts } from './kernel.js';
import type { Links } from './links.js';

export interface DrainingParts {
  readonly links: Pick<Links, 'leave' | 'flushed' | 'size'>;
  readonly counts: () => KernelCounts;
  readonly log: Logger;
}

/** What a node has by the time that it serves. */
export interface Leaver {
  readonly registration: Pick<Registration, 'withdraw'>;
  readonly device: Pick<Device, 'drain' | 'leave'>;
  /** Callers are told by the health service that this node takes no new work. */
  readonly stopServing: () => void;
  /** Tells members by gossip, once it has left the registry: who leads is settled there first. Bounded, never rejects. */
  readonly sayGoodbye?: () => Promise<void>;
}

/** Methods of ControllerService that begin something. */
const BEGINNING: ReadonlySet<string> = new Set(['Connect', 'Invoke', 'Allocate']);
const CONTROLLER_SERVICE = 'fractory.v1.ControllerService';
/** Longest wait for the coordinator to take the member out; the end of the session does it otherwise, ms. */
const WITHDRAW_MS = 1500;
/** News that a member left takes this long at most to reach those that still send it something, ms. */
const NEWS_MS = 40;
/** Longest wait for what runs elsewhere may still need: kept results, joins that wait for their inputs. */
const HELD_MS = 2000;
const LOOK_MS = 5;

/**
 * How a node leaves in good order: the others hear that it leaves and don't take it for lost, it leaves the registry, so that the next one leads, and
 * finishes what it has begun, while new work is refused.
 */
export class Draining {
  readonly #parts: DrainingParts;
  #calls = 0;
  #done: Promise<number> | undefined;

  constructor(parts: DrainingParts) {
    this.#parts = parts;
  }

  get hasBegun(): boolean {
    return this.#done !== undefined;
  }

  /** Counts a call as under way until the returned function is called. */
  readonly track = (): (() => void) => {
    this.#calls++;
    return () => {
      this.#calls--;
    };
  };

  /** Throws UNAVAILABLE if the method begins something and the node is on its way out. */
  check(method: string): void {
    if (!this.hasBegun) return;
    const [service, name = ''] = method.split('/');
    if (service === CONTROLLER_SERVICE && !BEGINNING.has(name)) return;
    throw unavailable('NODE_DRAINING', 'the node leaves the data center and takes no new work');
  }

  /**
   * Resolves when nothing is under way, or `graceMs` are over, with the number of operations and calls that are left. Leaving the registry and the goodbye by gossip
   * have bounds of their own, and may take longer than a short grace. Idempotent: the first call decides. Never rejects.
   */
  begin(leaver: Leaver, graceMs: number): Promise<number> {
    this.#done ??= this.#drain(leaver, graceMs);
    return this.#done;
  }

  async #drain(leaver: Leaver, graceMs: number): Promise<number> {
    const { links, log } = this.#parts;
    const startedAtMs = performance.now();
    const over = new AbortController();
    const timer = setTimeout(() => {
      over.abort(unavailable('NODE_STOPPING', 'the node is stopping'));
    }, graceMs);
    leaver.stopServing();
    links.leave(graceMs);
    await Promise.all([links.flushed(), leaver.device.leave?.(graceMs)]);
    await this.#withdraw(leaver);
    const leftMs = Math.round(performance.now() - startedAtMs);
    await Promise.all([
      ...[leaver.sayGoodbye?.(), leaver.device.drain?.(over.signal)],
      this.#quiet(over.signal),
    ]);
    clearTimeout(timer);
    const left = this.#underWay;
    const ms = Math.round(performance.now() - startedAtMs);
    log.info({ leftMs, ms, left }, 'node is drained');
    return left;
  }

  async #withdraw({ registration }: Leaver): Promise<void> {
    const given = new AbortController();
    try {
      await Promise.race([registration.withdraw(), sleep(WITHDRAW_MS, given.signal)]);
    } catch (error) {
      this.#parts.log.warn({ error: messageOf(error) }, 'leaving the registry failed');
    } finally {
      given.abort();
    }
  }

  get #underWay(): number {
    return this.#calls + this.#parts.counts().running;
  }

  /** Resolves when nothing is under way, and nobody sends anything any more. */
  async #quiet(over: AbortSignal): Promise<void> {
    const { links, counts } = this.#parts;
    const startedAtMs = performance.now();
    let busyAtMs = links.size > 0 ? startedAtMs : -Infinity;
    while (!over.aborted) {
      const nowMs = performance.now();
      const { gates, maps, activities } = counts();
      const isHeld = gates + maps + activities > 0 && nowMs - startedAtMs < HELD_MS;
      if (this.#underWay > 0 || isHeld) busyAtMs = nowMs;
      else if (nowMs - busyAtMs >= NEWS_MS) return;
      await sleep(LOOK_MS);
    }
  }
}
