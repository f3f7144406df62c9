import { status } from '@grpc/grpc-js';

import type { JournalFile, JournalFiles } from '../../../controllers/application/journal-files.js';
import { JournalRecord } from '../../../protos/gen/fractory/v1/journal.js';
import { FractoryError } from '../../../runtime/errors.js';

interface Kept extends JournalFile {
  readonly bytes: Uint8Array;
}

/** The journal's files in memory. */
export class MemoryJournalFiles implements JournalFiles {
  readonly #files = new Map<string, Kept>();
  /** Also of files that were removed. */
  readonly #last = new Map<string, bigint>();
  /** Called before each write; may throw or wait. */
  beforePut: (record: JournalRecord) => Promise<void> | void = () => undefined;
  /** What was written, in order: `RUN VERSION open|ended`. */
  readonly writes: string[] = [];

  record(run: string): JournalRecord | undefined {
    const file = this.#files.get(run);
    return file && JournalRecord.decode(file.bytes);
  }

  async put(
    { run, isEnded }: Pick<JournalFile, 'run' | 'isEnded'>,
    ifVersion: bigint,
    bytes: Uint8Array,
  ): Promise<bigint> {
    await this.beforePut(JournalRecord.decode(bytes));
    this.#check(run, ifVersion);
    const last = this.#last.get(run) ?? 0n;
    const version = (last > ifVersion ? last : ifVersion) + 1n;
    this.#last.set(run, version);
    this.#files.set(run, { run, isEnded, version, bytes, modifiedMs: Date.now() });
    this.writes.push(`${run} ${String(version)} ${isEnded ? 'ended' : 'open'}`);
    return version;
  }

  get(run: string): Promise<Kept | undefined> {
    return Promise.resolve(this.#files.get(run));
  }

  list(): Promise<JournalFile[]> {
    return Promise.resolve([...this.#files.values()]);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- it rejects as the other one does
  async remove({ run, version }: Pick<JournalFile, 'run' | 'version'>): Promise<void> {
    if (!this.#files.has(run)) return;
    this.#check(run, version);
    this.#files.delete(run);
  }

  #check(run: string, expected: bigint): void {
    const actual = this.#files.get(run)?.version ?? 0n;
    if (actual === expected) return;
    const found = `${run} has version ${String(actual)}`;
    throw new FractoryError(status.ABORTED, 'VERSION_MISMATCH', found);
  }
}
