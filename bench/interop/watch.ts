import { sleep } from '../../runtime/deadline.js';
import { LOOK_EVERY_MS } from './bounds.js';
import type { Peer, Shown } from './peer.js';

/** What was wrong, and when. */
export interface Violation {
  readonly atMs: number;
  readonly what: string;
}

/** Looks at the lists of all agents, and holds what they should be against them. */
export class Watch {
  readonly violations: Violation[] = [];
  /** As it is, or as it becomes. */
  readonly #expected = new Map<string, Shown>();
  /** As it was, of those who are in the midst of it. */
  readonly #before = new Map<string, Shown | undefined>();
  readonly #peers: readonly Peer[];
  readonly #startedMs = performance.now();
  looks = 0;

  constructor(peers: readonly Peer[]) {
    this.#peers = peers;
  }

  get nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  get members(): number {
    return this.#expected.size;
  }

  /** Somebody comes or goes: for a while it may be seen either way. */
  begin(name: string, becomes: Shown): void {
    this.#before.set(name, this.#expected.get(name));
    this.#expected.set(name, becomes);
  }

  /** Looks until all see it. First and last seen, ms from now; undefined = not within the bound. */
  async settled(name: string, boundMs: number): Promise<{ firstMs?: number; allMs?: number }> {
    const startedMs = this.nowMs;
    const sinceMs = (): number => this.nowMs - startedMs;
    let firstMs: number | undefined;
    for (;;) {
      const seen = await this.look(name);
      if (seen > 0) firstMs ??= sinceMs();
      if (seen === this.#running.length) {
        this.#before.delete(name);
        return { ...(firstMs === undefined ? {} : { firstMs }), allMs: sinceMs() };
      }
      if (sinceMs() > boundMs) break;
      await sleep(LOOK_EVERY_MS);
    }
    this.#before.delete(name);
    const expected = String(this.#expected.get(name));
    this.#note(`${name} is not ${expected} everywhere within ${seconds(boundMs)}`);
    return firstMs === undefined ? {} : { firstMs };
  }

  /** Looks for as long. */
  async hold(untilMs: number): Promise<void> {
    do {
      await this.look();
      await sleep(Math.min(2 * LOOK_EVERY_MS, Math.max(0, untilMs - this.nowMs)));
    } while (this.nowMs < untilMs);
  }

  /** Looks once at all lists; how many show `about` as it should be. */
  async look(about?: string): Promise<number> {
    this.looks++;
    const seen = await Promise.all(this.#running.map((peer) => this.#lookAt(peer, about)));
    return seen.filter(Boolean).length;
  }

  get #running(): readonly Peer[] {
    return this.#peers.filter(({ isRunning }) => isRunning);
  }

  async #lookAt(peer: Peer, about: string | undefined): Promise<boolean> {
    for (const name of peer.failuresTold())
      if (this.#expected.get(name) !== 'failed')
        this.#note(`false positive: ${peer.name} told that ${name} failed`);
    const list = await peer.list();
    const names = [...new Set([...this.#expected.keys(), ...list.keys()])];
    const wrong = names.filter((name) => !this.#isRight(name, list.get(name)));
    for (const name of wrong)
      if (!this.#mayStillBe(peer, name, list.get(name)))
        this.#note(`${peer.name} shows ${name} as ${String(list.get(name))}`);
    // Who comes has to see all others.
    return peer.name === about ? wrong.length === 0 : about !== undefined && !wrong.includes(about);
  }

  /** Who is gone may be forgotten, or unknown to who came later. */
  #isRight(name: string, shown: Shown | undefined): boolean {
    const expected = this.#expected.get(name);
    return shown === expected || (shown === undefined && expected !== 'alive');
  }

  #mayStillBe(peer: Peer, name: string, shown: Shown | undefined): boolean {
    if (this.#before.has(peer.name) && shown === undefined) return true;
    if (!this.#before.has(name)) return false;
    return shown === undefined || shown === this.#before.get(name);
  }

  #note(what: string): void {
    this.violations.push({ atMs: this.nowMs, what });
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
