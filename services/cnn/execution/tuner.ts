import { cpus } from 'node:os';

import type { Clock } from '../../../runtime/clock.js';
import { messageOf } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { Arrangement } from '../serving.js';
import { isBatchable } from './arrangement.js';
import type { FixedParts } from './arrangement.js';
import { batchCandidatesOf, candidatesOf, choose, reasonOf } from './choice.js';
import type { Candidate, Speed } from './choice.js';
import type { Lane } from './lane.js';
import type { Measured } from './messages.js';
import type { ServedModel } from './served-model.js';

/** How long nothing has to happen before the node counts as idle, ms. */
const IDLE_MS = 1500;
/** Time for one model, without loading, ms. */
const BUDGET_MS = 1000;
const LONE_MS = 50;
const FULL_MS = 110;
/** Share of the machine that others may use while it is measured. */
const OTHERS_SHARE = 0.15;
/** Tries on a machine where others are busy, before the plain arrangement stays. */
const TRIES = 5;
const COMPARED = 3;
/** Batch from which on larger ones are measured only if a smaller one gained this. */
const ENOUGH_BATCH = 4;
const HOPE = 1.05;

/** For tests: when a machine counts as idle. */
export interface TunerOptions {
  /** How long nothing has to happen before, ms. */
  readonly idleMs?: number;
  /** Share of the machine that others may use meanwhile. */
  readonly othersShare?: number;
}

/** What the tuner needs of its executor. */
export interface TunerHost {
  readonly lanes: readonly Lane[];
  readonly isIdle: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  fixedOf(model: ServedModel): FixedParts;
  /** The measured arrangement; called once for each model. */
  tuned(model: ServedModel, arrangement: Arrangement): Promise<void>;
}

interface Job {
  readonly model: ServedModel;
  tries: number;
}

/**
 * Measures models while the node is idle and tells which arrangement is best. The threads that it measures with are those that serve, so a request that comes
 * ends the measuring within one run; it starts again when the node is idle again.
 */
export class Tuner {
  readonly #host: TunerHost;
  readonly #idleMs: number;
  readonly #othersShare: number;
  readonly #jobs: Job[] = [];
  /** Not 0 = workers stop measuring. */
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  #active: Promise<void> | undefined;
  #lastBusyMs: number;
  #cancel: (() => void) | undefined;
  #ended = false;

  constructor(host: TunerHost, options: TunerOptions = {}) {
    this.#host = host;
    this.#idleMs = options.idleMs ?? IDLE_MS;
    this.#othersShare = options.othersShare ?? OTHERS_SHARE;
    this.#lastBusyMs = host.clock.monotonicMs();
  }

  /** Measures this model when there is time. */
  add(model: ServedModel): void {
    this.#jobs.push({ model, tries: 0 });
    this.#arm();
  }

  /** A request has come: it goes first. */
  busy(): void {
    if (this.#jobs.length === 0) return;
    this.#lastBusyMs = this.#host.clock.monotonicMs();
    if (this.#active) Atomics.store(this.#stop, 0, 1);
  }

  /** Ends measuring for good. */
  end(): void {
    this.#ended = true;
    this.#cancel?.();
    Atomics.store(this.#stop, 0, 1);
  }

  #arm(): void {
    if (this.#ended || this.#cancel || this.#active || this.#jobs.length === 0) return;
    const { clock } = this.#host;
    const waitMs = Math.max(0, this.#lastBusyMs + this.#idleMs - clock.monotonicMs());
    this.#cancel = clock.schedule(waitMs, () => {
      this.#cancel = undefined;
      const idleMs = clock.monotonicMs() - this.#lastBusyMs;
      if (idleMs >= this.#idleMs - 1 && this.#host.isIdle) this.#next();
      else {
        this.#lastBusyMs = Math.max(this.#lastBusyMs, clock.monotonicMs() - this.#idleMs / 2);
        this.#arm();
      }
    });
  }

  #next(): void {
    const job = this.#jobs.shift();
    if (!job) return;
    Atomics.store(this.#stop, 0, 0);
    // It counts as waiting while it is measured, so that requests are heard of.
    this.#jobs.unshift(job);
    this.#active = this.#measureJob(job).finally(() => {
      this.#active = undefined;
      this.#arm();
    });
  }

  async #measureJob(job: Job): Promise<void> {
    const { model } = job;
    const before = machineTimes();
    let arrangement: Arrangement | undefined;
    try {
      if (model.state === 'serving') arrangement = await this.#measure(model);
    } catch (error) {
      if (model.state === 'serving' && !this.#ended)
        this.#host.log.warn(
          { model: model.source.name, problem: messageOf(error) },
          'model not measured',
        );
      this.#done(job);
      return;
    }
    if (this.#ended) return;
    if (model.state !== 'serving') this.#done(job);
    // A request came: later again.
    else if (!arrangement) this.#lastBusyMs = this.#host.clock.monotonicMs();
    else if (othersShare(before) <= this.#othersShare) {
      this.#done(job);
      await this.#host.tuned(model, arrangement);
    } else if (++job.tries >= TRIES) this.#done(job);
    else this.#lastBusyMs = this.#host.clock.monotonicMs() + this.#idleMs * 2 ** job.tries;
  }

  #done(job: Job): void {
    const at = this.#jobs.indexOf(job);
    if (at >= 0) this.#jobs.splice(at, 1);
  }

  /** Undefined = it was interrupted. */
  async #measure(model: ServedModel): Promise<Arrangement | undefined> {
    const fixed = this.#host.fixedOf(model);
    const candidates = candidatesOf(this.#host.lanes.length, fixed);
    const speeds: Speed[] = [];
    const notes: string[] = [];
    const startedMs = this.#host.clock.monotonicMs();
    const hasTime = (): boolean => this.#host.clock.monotonicMs() - startedMs < BUDGET_MS;
    for (const candidate of candidates)
      if (speeds.length === 0 || hasTime()) {
        const speed = await this.#speedOf(model, candidate);
        if (!speed) return undefined;
        speeds.push(speed);
      }
    const best = choose(speeds);
    if (isBatchable(model.source.signature) && fixed.maxBatch === undefined) {
      const found = await this.#batchSpeeds(model, best, fixed, hasTime);
      if (!found) return undefined;
      if (found.length === 0) notes.push('its requests run one by one');
      speeds.push(...found);
    }
    const chosen = await this.#confirmed(model, speeds);
    if (!chosen || this.#isStopped()) return undefined;
    const { workers, threads, maxBatch } = chosen;
    const reason = reasonOf(chosen, speeds, notes);
    return { workers, threads, maxBatch, maxDelayMs: fixed.maxDelayMs ?? 0, reason };
  }

  /** The best, measured a second time against the plain one: of many measurements one is too good by chance. */
  async #confirmed(model: ServedModel, speeds: readonly Speed[]): Promise<Speed | undefined> {
    const best = choose(speeds);
    const [plain] = speeds;
    if (!plain || best === plain) return best;
    const again: Speed[] = [];
    for (const first of [plain, best]) {
      const second = await this.#speedOf(model, first);
      if (!second) return undefined;
      again.push({ ...first, perSecond: (first.perSecond + second.perSecond) / 2 });
    }
    return choose(again) === again[1] ? best : plain;
  }

  /** One request in a run at first alone, then on all workers. */
  async #speedOf(model: ServedModel, candidate: Candidate): Promise<Speed | undefined> {
    return this.#withSessions(model, candidate, async (sessions) => {
      const [lone] = await this.#run(sessions.slice(0, 1), 1, LONE_MS);
      if (!lone || this.#isStopped()) return undefined;
      const all = await this.#run(sessions, candidate.maxBatch, FULL_MS);
      if (this.#isStopped()) return undefined;
      return { ...candidate, loneMs: lone.runMs, perSecond: rateOf(all, candidate.maxBatch) };
    });
  }

  async #batchSpeeds(
    model: ServedModel,
    best: Speed,
    fixed: FixedParts,
    hasTime: () => boolean,
  ): Promise<Speed[] | undefined> {
    return this.#withSessions(model, best, async (sessions) => {
      const [first] = sessions;
      const compared = await first?.lane.perform<'compare'>({
        ...{ kind: 'compare', model: first.key, batch: COMPARED },
      });
      const speeds: Speed[] = [];
      if (compared?.same !== true) return speeds;
      for (const candidate of batchCandidatesOf(best, fixed)) {
        if (!hasTime()) break;
        const all = await this.#run(sessions, candidate.maxBatch, FULL_MS);
        if (this.#isStopped()) return undefined;
        const perSecond = rateOf(all, candidate.maxBatch);
        speeds.push({ ...candidate, loneMs: best.loneMs, perSecond });
        // What two and four gain nothing by, larger ones don't either; they would only take memory.
        if (
          candidate.maxBatch >= ENOUGH_BATCH &&
          !speeds.some((one) => one.perSecond > HOPE * best.perSecond)
        )
          break;
      }
      return speeds;
    });
  }

  #run(sessions: readonly Session[], batch: number, durationMs: number): Promise<Measured[]> {
    return Promise.all(
      sessions.map(({ lane, key }) =>
        lane.perform<'measure'>({
          ...{ kind: 'measure', model: key, stop: this.#stop },
          measurement: { batch, durationMs },
        }),
      ),
    );
  }

  /** Sessions with so many threads in so many workers: those that serve where they fit, others for this time. */
  async #withSessions<T>(
    model: ServedModel,
    { workers, threads }: Candidate,
    work: (sessions: readonly Session[]) => Promise<T>,
  ): Promise<T> {
    const serving = [...model.workers];
    const fits = threads === model.arrangement.threads && serving.length >= workers;
    const chosen = fits ? serving.slice(0, workers) : this.#host.lanes.map((_, at) => at);
    const key = fits ? model.sessionKey : `${model.key}.measured`;
    const lanes = chosen
      .slice(0, workers)
      .map((worker) => this.#host.lanes[worker])
      .filter((lane) => lane !== undefined);
    try {
      if (!fits)
        for (const lane of lanes)
          await lane.perform<'load'>({ kind: 'load', model: key, source: model.session(threads) });
      return await work(lanes.map((lane) => ({ lane, key })));
    } finally {
      if (!fits)
        for (const lane of lanes) await lane.perform<'unload'>({ kind: 'unload', model: key });
    }
  }

  #isStopped(): boolean {
    return Atomics.load(this.#stop, 0) !== 0;
  }
}

interface Session {
  readonly lane: Lane;
  readonly key: string;
}

function rateOf(all: readonly Measured[], batch: number): number {
  return all.reduce(
    (sum, { runs, elapsedMs }) => sum + (elapsedMs > 0 ? (runs * batch * 1000) / elapsedMs : 0),
    0,
  );
}

interface MachineTimes {
  readonly busyMs: number;
  readonly totalMs: number;
  readonly ownMs: number;
}

function machineTimes(): MachineTimes {
  let [busyMs, totalMs] = [0, 0];
  for (const { times } of cpus()) {
    const { user, nice, sys, irq, idle } = times;
    busyMs += user + nice + sys + irq;
    totalMs += user + nice + sys + irq + idle;
  }
  const own = process.cpuUsage();
  return { busyMs, totalMs, ownMs: (own.user + own.system) / 1000 };
}

/** Share of the machine that other processes have used since then. */
function othersShare(since: MachineTimes): number {
  const now = machineTimes();
  const totalMs = now.totalMs - since.totalMs;
  const othersMs = now.busyMs - since.busyMs - (now.ownMs - since.ownMs);
  return totalMs > 0 ? Math.max(0, othersMs) / totalMs : 0;
}
