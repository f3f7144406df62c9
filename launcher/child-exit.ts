import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/** The exit code of a child that has been started: 128 and its number for a signal, as shells have it. Rejects if it could not be started. */
export function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
