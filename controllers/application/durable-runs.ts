import { sleep } from '../../runtime/deadline.js';
import { limitExceeded, unavailable } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import {
  attemptBase,
  openRecord,
  optionsOf,
  outOfTime,
  runTakenOver,
} from '../../services/application/journal/journal-entry.js';
import type { RunOwner } from '../../services/application/journal/journal-entry.js';
import { RunRecord } from '../../services/application/run-record.js';
import type { RunOptions } from '../../services/application/run-record.js';
import { checkSame } from '../../services/application/run-table.js';
import type { RunTable } from '../../services/application/run-table.js';
import type { KernelAccess } from '../kernel/device.js';
import { notLeading } from '../kernel/leadership.js';
import type { EndedRuns } from './ended-runs.js';
import { isReason } from './journal-files.js';
import type { Journal, WrittenRun } from './journal.js';
import type { RunKeeper } from './run-keeper.js';
import type { Runner } from './runner.js';

export interface DurableRunsParts {
  readonly member: string;
  readonly kernel: Pick<KernelAccess, 'epoch' | 'leads' | 'members' | 'stepBack'>;
  readonly runs: RunTable;
  readonly runner: Pick<Runner, 'execute'>;
  readonly journal: Journal;
  readonly ended: EndedRuns;
  readonly log: Logger;
  /** Aborts when the node is stopping: nothing is taken up any more. A caller that goes away stops nothing. */
  readonly stopping: AbortSignal;
  /** How long after its beginning a node that has not seen storage waits for it before it says that a run is not written down, ms. Default 0. */
  readonly storagePatienceMs?: number;
}

/** Between two looks for it, ms. */
const LOOK_MS = 25;

/**
 * Runs that outlive their application node: written down before anybody hears that they exist, and before anybody hears that they have ended. A run is in the
 * hands of one owner, a member in one epoch; an older epoch never takes it from a younger one.
 */
export class DurableRuns {
  readonly #parts: DurableRunsParts;
  /** Runs that are being written down or taken up. */
  readonly #coming = new Map<string, Promise<RunRecord | undefined>>();
  readonly #underWay = new Set<RunRecord>();
  readonly #storageByMs: number;
  #hasSeenStorage = false;

  constructor(parts: DurableRunsParts) {
    this.#parts = parts;
    this.#storageByMs = performance.now() + (parts.storagePatienceMs ?? 0);
  }

  /** To be called at each change of the members. */
  readonly noticeStorage = (): void => {
    this.#hasSeenStorage ||= hasStorage(this.#parts.kernel);
  };

  /** Those that this node runs. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** The run of this id, where the same was sent before, here or to another node; a new one otherwise. Resolves when it is written down. */
  async open(options: RunOptions, traceparent: string): Promise<RunRecord> {
    const { runs, ended, journal, stopping } = this.#parts;
    const { id } = options;
    let run = this.#live(id) ?? (await this.#coming.get(id));
    if (!run) {
      runs.checkRoom(this.#coming.size);
      if (ended.isFull) throw journalFull(ended.size);
      run = await this.#once(id, async () => {
        const record = openRecord(options, this.#owner(), traceparent);
        const { written, isNew } = await journal.create(record, stopping);
        return isNew ? this.#begin(written, options) : this.#takeUp(written);
      });
    }
    if (!run) throw unavailable('RUN_CHANGING', `run ${id} was removed just now; send it again`);
    checkSame(run, options);
    return run;
  }

  /** A run that is written down, under way or ended: one that nobody runs goes on here. Undefined = there is none. */
  async find(id: string): Promise<RunRecord | undefined> {
    const { journal, stopping } = this.#parts;
    const known = this.#live(id);
    if (known) return known;
    return this.#once(id, async () => {
      if (!(await this.#hasJournal())) return undefined;
      const written = await journal.find(id, stopping);
      return written && this.#takeUp(written);
    });
  }

  /** This node runs none of them any more; whoever follows one hears `reason`, and finds it again where it goes on. */
  abandon(reason: (run: string) => Error): void {
    for (const run of [...this.#underWay]) run.abandon(reason(run.id));
  }

  /** One that was abandoned here may be taken up again by now. */
  #live(id: string): RunRecord | undefined {
    const run = this.#parts.runs.find(id);
    return run?.isAbandoned ? undefined : run;
  }

  /** A data center that never had storage has no durable runs; one whose storage is away for a while, or starts as this node does, may have. */
  async #hasJournal(): Promise<boolean> {
    this.noticeStorage();
    while (!this.#hasSeenStorage && performance.now() < this.#storageByMs) {
      await sleep(LOOK_MS, this.#parts.stopping);
      this.noticeStorage();
    }
    return this.#hasSeenStorage;
  }

  /** Only who leads: a node at the end of the queue has a younger epoch than the leader, which could never take the run from it. */
  #owner(): RunOwner {
    const { member, kernel } = this.#parts;
    const epoch = kernel.epoch();
    if (epoch === 0n) throw unavailable('NOT_REGISTERED', `${member} is not registered now`);
    if (!kernel.leads()) throw notLeading(member, undefined);
    return { member, epoch };
  }

  /** One at a time for each id. */
  #once(id: string, work: () => Promise<RunRecord | undefined>): Promise<RunRecord | undefined> {
    const coming = this.#coming.get(id);
    if (coming) return coming;
    const begun = work().finally(() => this.#coming.delete(id));
    this.#coming.set(id, begun);
    return begun;
  }

  async #takeUp(written: WrittenRun): Promise<RunRecord> {
    const { runs, ended, log, stopping } = this.#parts;
    const { record } = written;
    if (record.ended) {
      const run = new RunRecord(optionsOf(record));
      this.#accept(run, record);
      run.add({ $case: 'ended', value: record.ended });
      runs.adopt(run);
      return run;
    }
    const owner = this.#owner();
    if (record.epoch > owner.epoch) {
      // Another leads by now; or the journal comes from elsewhere, and whoever leads must be above it.
      void this.#parts.kernel.stepBack(record.epoch);
      throw runTakenOver(record.run, record);
    }
    if (Date.now() >= Number(record.deadlineMs)) {
      await written.end(outOfTime(record, Date.now()), stopping);
      ended.add(record.run, written.version);
      return this.#takeUp(written);
    }
    await written.takeUp(owner, stopping);
    log.info({ run: record.run, from: record.member }, 'took up a durable run');
    return this.#begin(written, optionsOf(record));
  }

  #begin(written: WrittenRun, options: RunOptions): RunRecord {
    const { runs, runner, kernel } = this.#parts;
    const { record } = written;
    // The same for every owner: the capabilities of steps depend on it.
    const run = new RunRecord({ ...options, deadlineMs: Number(record.deadlineMs) });
    this.#accept(run, record);
    runs.adopt(run);
    this.#underWay.add(run);
    if (kernel.epoch() !== record.epoch) run.abandon(runTakenOver(run.id));
    void runner.execute(run, record.traceparent, this.#keeper(run, written)).then(() => {
      this.#underWay.delete(run);
      if (run.ended) runs.settle(run);
      else runs.drop(run);
    });
    return run;
  }

  #accept(run: RunRecord, { member, epoch }: RunOwner): void {
    run.add({ $case: 'accepted', value: { member, epoch } });
  }

  #keeper(run: RunRecord, written: WrittenRun): RunKeeper {
    const { record } = written;
    const owned = async (work: Promise<void>): Promise<void> => {
      try {
        await work;
      } catch (error) {
        if (isReason(error, 'RUN_TAKEN_OVER')) run.abandon(error as Error);
        throw error;
      }
    };
    return {
      attemptBase: attemptBase(record),
      attemptsBefore: record.attempts,
      pinned: record.pinned,
      pin: (attempts, pinned, signal) => owned(written.pin(attempts, pinned, signal)),
      end: async (ended) => {
        await owned(written.end(ended, run.abandonSignal));
        this.#parts.ended.add(run.id, written.version);
      },
    };
  }
}

export function hasStorage({ members }: Pick<KernelAccess, 'members'>): boolean {
  return members().some(({ type }) => type === 'storage');
}

function journalFull(size: number) {
  return limitExceeded('max_remembered_runs', size, size, {
    ...{ what: 'the number of ended durable runs that are written down', retryAfterMs: 1000 },
  });
}
