import { encode } from '../../protos/encode.js';
import type { RunEnded } from '../../protos/gen/fractory/v1/application.js';
import { JournalRecord } from '../../protos/gen/fractory/v1/journal.js';
import type { PinnedStep } from '../../protos/gen/fractory/v1/journal.js';
import { toFractoryError } from '../../protos/status.js';
import { backoffMs } from '../../runtime/backoff.js';
import { sleep, withDeadline } from '../../runtime/deadline.js';
import { unavailable } from '../../runtime/errors.js';
import {
  endedRecord,
  pinnedRecord,
  runTakenOver,
  takenUp,
} from '../../services/application/journal/journal-entry.js';
import type { RunOwner } from '../../services/application/journal/journal-entry.js';
import { isReason } from './journal-files.js';
import type { JournalFile, JournalFiles } from './journal-files.js';

/** Longest time for one write, ms: storage may be choosing a new leader. */
const WRITE_MS = 10_000;
/** How long an end that can't be written is tried for after the run's budget, ms. */
const END_PATIENCE_MS = 30_000;
const BACKOFF = { initialMs: 50, maxMs: 1000 };

/** What is written of durable runs. */
export class Journal {
  readonly #files: JournalFiles;

  constructor(files: JournalFiles) {
    this.#files = files;
  }

  /** Writes down a run that begins, unless there is one of this id: then that one is returned. */
  async create(
    record: JournalRecord,
    signal: AbortSignal,
  ): Promise<{ readonly written: WrittenRun; readonly isNew: boolean }> {
    try {
      const bytes = encode(JournalRecord, record);
      const version = await within('writing down a run', signal, (own) =>
        this.#files.put({ run: record.run, isEnded: false }, 0n, bytes, own),
      );
      return { written: new WrittenRun(this.#files, record, version), isNew: true };
    } catch (error) {
      if (!isReason(error, 'VERSION_MISMATCH')) throw error;
      const written = await this.find(record.run, signal);
      if (written) return { written, isNew: false };
      throw unavailable('RUN_CHANGING', `run ${record.run} was removed just now; send it again`);
    }
  }

  find(run: string, signal: AbortSignal): Promise<WrittenRun | undefined> {
    return within('reading a run', signal, async (own) => {
      const found = await this.#files.get(run, own);
      if (!found) return undefined;
      return new WrittenRun(this.#files, JournalRecord.decode(found.bytes), found.version);
    });
  }

  list(signal: AbortSignal): Promise<JournalFile[]> {
    return within('listing runs', signal, (own) => this.#files.list(own));
  }

  /** Removes what was written last of a run, unless something else stands there by now. */
  remove(file: Pick<JournalFile, 'run' | 'version'>, signal: AbortSignal): Promise<void> {
    return within('removing a run', signal, async (own) => {
      try {
        await this.#files.remove(file, own);
      } catch (error) {
        if (!isReason(error, 'VERSION_MISMATCH')) throw error;
      }
    });
  }
}

/**
 * A run as it is written. Whoever writes must know what was written last, so a node that has lost a run to another can't write it again: that throws UNAVAILABLE
 * (RUN_TAKEN_OVER).
 */
export class WrittenRun {
  readonly #files: JournalFiles;
  #record: JournalRecord;
  #version: bigint;

  constructor(files: JournalFiles, record: JournalRecord, version: bigint) {
    this.#files = files;
    this.#record = record;
    this.#version = version;
  }

  get record(): JournalRecord {
    return this.#record;
  }

  get version(): bigint {
    return this.#version;
  }

  /** Makes it the run of another owner. */
  takeUp(owner: RunOwner, signal: AbortSignal): Promise<void> {
    return this.#write(takenUp(this.#record, owner), signal);
  }

  pin(attempts: number, pinned: readonly PinnedStep[], signal: AbortSignal): Promise<void> {
    return this.#write(pinnedRecord(this.#record, attempts, pinned), signal);
  }

  /** Tries for as long as it makes sense: nobody may hear of an end that isn't written. */
  async end(ended: RunEnded, signal: AbortSignal): Promise<void> {
    const untilMs = Math.max(Date.now(), Number(this.#record.deadlineMs)) + END_PATIENCE_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#write(endedRecord(this.#record, ended), signal);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (isReason(error, 'RUN_TAKEN_OVER')) throw error;
        if (Date.now() >= untilMs) throw endNotWritten(this.#record.run, error);
        await sleep(backoffMs(attempt, BACKOFF), signal);
      }
    }
  }

  #write(record: JournalRecord, signal: AbortSignal): Promise<void> {
    const bytes = encode(JournalRecord, record);
    return within('writing down a run', signal, async (own) => {
      while (!(await this.#put(record, bytes, own)));
    });
  }

  /** False where a write of ours was made that nobody told us of: its caller had given it up. */
  async #put(record: JournalRecord, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const { run } = record;
    const isEnded = record.ended !== undefined;
    try {
      this.#version = await this.#files.put({ run, isEnded }, this.#version, bytes, signal);
      this.#record = record;
      return true;
    } catch (error) {
      if (!isReason(error, 'VERSION_MISMATCH')) throw error;
      const found = await this.#files.get(run, signal);
      const written = found && JournalRecord.decode(found.bytes);
      if (!written || written.ended || !isSameOwner(written, record))
        throw runTakenOver(run, written);
      this.#version = found.version;
      return false;
    }
  }
}

/** Whoever takes a run up counts: no two have the same number. */
function isSameOwner(one: JournalRecord, other: JournalRecord): boolean {
  return (
    one.member === other.member && one.epoch === other.epoch && one.takeovers === other.takeovers
  );
}

/** Storage that can't be reached in time is UNAVAILABLE: the same may succeed a little later. */
async function within<T>(
  what: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await withDeadline(WRITE_MS, what, work, signal);
  } catch (error) {
    if (signal.aborted || !isReason(error, 'DEADLINE_EXCEEDED')) throw error;
    const why = `storage did not answer within ${String(WRITE_MS / 1000)} s`;
    throw unavailable('JOURNAL_UNAVAILABLE', `${what} in the journal failed: ${why}`, {
      cause: error,
    });
  }
}

function endNotWritten(run: string, thrown: unknown) {
  const { message } = toFractoryError(thrown);
  return unavailable(
    'JOURNAL_UNAVAILABLE',
    `the end of run ${run} could not be written down: ${message}`,
    { cause: thrown },
  );
}
