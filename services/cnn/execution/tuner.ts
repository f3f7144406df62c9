import type { Clock } from '../../../runtime/clock.js';
import { messageOf } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { Arrangement } from '../serving.js';
import { isBatchable } from './arrangement.js';
import type { FixedParts } from './arrangement.js';
import {
  batchCandidatesOf,
  candidatesOf,
  choose,
  isAsFast,
  meanOf,
  reasonOf,
  sparingCandidates,
} from './choice.js';
import type { Candidate, Speed } from './choice.js';
import type { Lane } from './lane.js';
import { machineTimes, othersShare } from './machine-load.js';
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

  /** Ends measuring for good; resolves when what was found before has been told. The lanes have to end too. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#cancel?.();
    Atomics.store(this.#stop, 0, 1);
    await this.#active;
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
    const confirmed = await this.#confirmed(model, speeds);
    if (!confirmed || this.#isStopped()) return undefined;
    const maxDelayMs = fixed.maxDelayMs ?? 0;
    // Where requests wait for others, only a batch that computes faster is worth it.
    const chosen = maxDelayMs > 0 ? confirmed : await this.#sparing(model, confirmed, speeds);
    if (!chosen || this.#isStopped()) return undefined;
    const { workers, threads, maxBatch } = chosen;
    if (chosen !== confirmed)
      notes.push(
        `${String(maxBatch)} that wait anyway compute as fast together and spare messages`,
      );
    const reason = reasonOf(chosen, speeds, notes);
    return { workers, threads, maxBatch, maxDelayMs, reason };
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
      again.push(meanOf(first, second));
    }
    return choose(again) === again[1] ? best : plain;
  }

  /** The largest batch that is as fast as single requests in two measurements; the single ones where there is none. */
  async #sparing(
    model: ServedModel,
    single: Speed,
    speeds: readonly Speed[],
  ): Promise<Speed | undefined> {
    const candidates = sparingCandidates(single, speeds);
    if (candidates.length === 0) return single;
    const second = await this.#speedOf(model, single);
    if (!second) return undefined;
    const mean = meanOf(single, second);
    for (const batch of candidates) {
      const again = await this.#speedOf(model, batch);
      if (!again) return undefined;
      if (isAsFast(meanOf(batch, again), mean)) return batch;
    }
    return single;
  }

  /** One request in a run at first alone, then on all workers. */
  async #speedOf(model: ServedModel, candidate: Candidate): Promise<Speed | undefined> {
    return this.#withSessions(model, candidate, async (sessions) => {
      const [lone] = await this.#run(sessions.slice(0, 1), 1, LONE_MS);
      if (!lone || this.#isStopped()) return undefined;
      const all = await this.#run(sessions, candidate.maxBatch, FULL_MS);
      if (this.#isStopped()) return undefined;
      return { ...candidate, loneMs: lone.runMs, ...reachedBy(all, candidate.maxBatch) };
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
        speeds.push({ ...candidate, loneMs: best.loneMs, ...reachedBy(all, candidate.maxBatch) });
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

function reachedBy(all: readonly Measured[], batch: number): Pick<Speed, 'perSecond' | 'runMs'> {
  const perSecond = all.reduce(
    (sum, { runs, elapsedMs }) => sum + (elapsedMs > 0 ? (runs * batch * 1000) / elapsedMs : 0),
    0,
  );
  return { perSecond, runMs: Math.max(...all.map(({ runMs }) => runMs)) };
}
