import type { MemberChange } from '../core/membership.js';
import type { SimulatedCluster } from './simulated-cluster.js';

/** Members that were declared dead though they were there. */
export interface FalsePositives {
  /** Each time that one was, by whomever first. */
  readonly all: number;
  /** Only those at members that were never stopped. */
  readonly healthy: number;
  /** Of these, how many were declared first by members that were stopped now and then. */
  readonly byPaused: number;
}

interface Learned {
  known: number;
  firstMs: number;
  lastMs: number;
}

/** What members saw, from when something was done to them. */
export class Observations {
  readonly #deaths = new Map<string, Learned>();
  readonly #joins = new Map<string, Learned>();
  readonly #paused = new Set<string>();
  readonly #pausedPlaces = new Set<number>();
  /** Wrong declarations, by member and incarnation: who made it first. */
  readonly #wrong = new Map<string, number>();
  readonly #everybody: number;
  #beganMs = Infinity;
  #survivors = 0;
  #healedMs: number | undefined;
  /** Pairs of different sides of which one holds the other for dead. */
  #apart = 0;
  #allApart = Infinity;
  /** Members that were suspected though they ran: each suspicion once for everybody who held it. */
  suspicions = 0;
  splitMs: number | undefined;
  wholeMs: number | undefined;

  /** `everybody`: with those who join. */
  constructor(everybody: number) {
    this.#everybody = everybody;
  }

  begin(
    atMs: number,
    who: {
      readonly crashed: readonly number[];
      readonly paused: readonly number[];
      readonly members: number;
    },
  ): void {
    this.#beganMs = atMs;
    this.#survivors = this.#everybody - who.crashed.length;
    for (const place of who.crashed) this.#deaths.set(nameOf(place), nobody());
    for (const place of who.paused) {
      this.#paused.add(nameOf(place));
      this.#pausedPlaces.add(place);
    }
  }

  joining(place: number): void {
    this.#joins.set(nameOf(place), nobody());
  }

  split(away: number): void {
    this.#allApart = 2 * away * (this.#everybody - away);
  }

  heal(atMs: number): void {
    this.#healedMs = atMs;
  }

  note(cluster: SimulatedCluster, observer: number, change: MemberChange): void {
    const nowMs = cluster.time.monotonicMs();
    const { name, incarnation } = change.member;
    const place = placeOf(name);
    if (change.kind === 'join') {
      // A member enters itself, too.
      if (observer !== place) learn(this.#joins.get(name), nowMs - this.#beganMs);
      if (this.#joins.get(name) === undefined) this.#together(nowMs);
    } else if (change.kind === 'suspect') {
      if (!cluster.isCrashed(place)) this.suspicions++;
    } else if (change.kind === 'fail') {
      if (cluster.isCrashed(place)) learn(this.#deaths.get(name), nowMs - this.#beganMs);
      else if (this.#allApart < Infinity) this.#divide(nowMs);
      else this.#wronged(`${name} ${String(incarnation)}`, observer);
    }
  }

  firstDetections(): number[] {
    return [...this.#deaths.values()].filter(({ known }) => known > 0).map((one) => one.firstMs);
  }

  fullDetections(): number[] {
    return this.#known(this.#deaths, this.#survivors).map((one) => one.lastMs);
  }

  missedDeaths(): number {
    return this.#deaths.size - this.fullDetections().length;
  }

  /** Until everybody knew of them, one for each of whom everybody does. */
  joins(): number[] {
    return this.#known(this.#joins, this.#survivors - 1).map((one) => one.lastMs);
  }

  /** Share of those who have to know of the deaths, and of the joins, who do. */
  shares(): { readonly deaths: number; readonly joins: number } {
    return {
      deaths: shareOf(this.#deaths, this.#survivors),
      joins: shareOf(this.#joins, this.#survivors - 1),
    };
  }

  falsePositives(): FalsePositives {
    const healthy = [...this.#wrong].filter(([key]) => !this.#paused.has(key.split(' ')[0] ?? ''));
    const byPaused = healthy.filter(([, observer]) => this.#pausedPlaces.has(observer));
    return { all: this.#wrong.size, healthy: healthy.length, byPaused: byPaused.length };
  }

  #known(of: ReadonlyMap<string, Learned>, wanted: number): Learned[] {
    return [...of.values()].filter(({ known }) => known >= wanted);
  }

  #wronged(key: string, observer: number): void {
    if (!this.#wrong.has(key)) this.#wrong.set(key, observer);
  }

  #divide(nowMs: number): void {
    this.#apart++;
    if (this.#apart >= this.#allApart) this.splitMs ??= nowMs - this.#beganMs;
    this.wholeMs = undefined;
  }

  #together(nowMs: number): void {
    this.#apart--;
    if (this.#apart === 0 && this.#healedMs !== undefined) this.wholeMs = nowMs - this.#healedMs;
  }
}

function nobody(): Learned {
  return { known: 0, firstMs: 0, lastMs: 0 };
}

function learn(learned: Learned | undefined, atMs: number): void {
  if (!learned) return;
  if (learned.known === 0) learned.firstMs = atMs;
  learned.known++;
  learned.lastMs = atMs;
}

function shareOf(of: ReadonlyMap<string, Learned>, wanted: number): number {
  let known = 0;
  for (const learned of of.values()) known += learned.known;
  return of.size === 0 ? 0 : known / (of.size * wanted);
}

function nameOf(place: number): string {
  return `member-${String(place)}`;
}

function placeOf(name: string): number {
  return Number(name.slice(name.indexOf('-') + 1));
}
