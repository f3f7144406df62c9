import { identify } from './process-identity.js';
import type { RecordedProcess, RunFile, RunRecord } from './run-file.js';

/** What the launcher runs now. */
export interface LiveProcess {
  readonly name: string;
  readonly kind: RecordedProcess['kind'];
  readonly pid: number;
}

/** Keeps the run file true while the launcher lives; writes one after the other. */
export class RunRecorder {
  readonly #file: RunFile;
  #record: RunRecord;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(file: RunFile, record: RunRecord) {
    this.#file = file;
    this.#record = record;
  }

  /** Resolves when it stands in the file. */
  change(
    facts: Partial<Pick<RunRecord, 'phase' | 'coordinator' | 'network' | 'control'>>,
  ): Promise<void> {
    return this.#write(() => Promise.resolve(facts));
  }

  /** Records what runs at the time of writing. */
  changeProcesses(live: () => readonly LiveProcess[]): Promise<void> {
    return this.#write(async () => ({ processes: await identifyAll(live()) }));
  }

  /** The file is gone when it resolves; nothing is written after it. */
  async remove(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#file.remove();
  }

  #write(facts: () => Promise<Partial<RunRecord>>): Promise<void> {
    const done = this.#writing.then(async () => {
      this.#record = { ...this.#record, ...(await facts()) };
      if (!this.#closed) await this.#file.replace(this.#record);
    });
    // One failed write doesn't stop the next; its caller hears of it.
    this.#writing = done.catch(() => undefined);
    return done;
  }
}

async function identifyAll(live: readonly LiveProcess[]): Promise<RecordedProcess[]> {
  const found = await Promise.all(
    live.map(async ({ name, kind, pid }) => {
      const identity = await identify(pid);
      return identity ? [{ name, kind, ...identity }] : [];
    }),
  );
  return found.flat();
}
