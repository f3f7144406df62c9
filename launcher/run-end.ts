import { sleep } from '../runtime/deadline.js';
import type { RunFile } from './run-file.js';

const LOOK_MS = 300;

/** Resolves when the data center that runs in a folder, or the first that comes, runs no more; rejects when `signal` aborts. */
export async function runEnded(runFile: RunFile, signal: AbortSignal): Promise<void> {
  let startedAt: string | undefined;
  for (;;) {
    const found = await runFile.read();
    const running = found.state === 'running' ? found.record.startedAt : undefined;
    if (startedAt !== undefined && running !== startedAt) return;
    startedAt = running;
    await sleep(LOOK_MS, signal);
  }
}
