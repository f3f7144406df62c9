import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

import { ExitCode } from './exit-codes.js';
import type { Interruption } from './interruption.js';

export interface SignalOptions {
  /** What the child gets at a second Ctrl-C. */
  readonly onForce: 'SIGINT' | 'SIGKILL';
  /** The child hears of Ctrl-C by itself, as it is in our process group: it gets one from us only if it goes on for so long, ms. Default: at once. */
  readonly ctrlCAfterMs?: number;
}

/** The exit code of a child that has been started: 128 and its number for a signal, as shells have it. Rejects if it could not be started. */
export function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

/** The same of a child that stands for this process: whoever asks us to stop asks it. After Ctrl-C the code is that of an interruption. */
export async function exitCodeInOurStead(
  child: ChildProcess,
  interruption: Interruption,
  { onForce, ctrlCAfterMs }: SignalOptions,
): Promise<number> {
  let late: NodeJS.Timeout | undefined;
  const passOn = (): void => {
    const { by } = interruption;
    if (by !== 'SIGINT' || ctrlCAfterMs === undefined) child.kill(by);
    else late = setTimeout(() => child.kill(by), ctrlCAfterMs);
  };
  interruption.handle();
  const forget = interruption.onForce(() => child.kill(onForce));
  interruption.signal.addEventListener('abort', passOn, { once: true });
  try {
    const code = await exitCodeOf(child);
    return interruption.by === 'SIGINT' ? ExitCode.interrupted : code;
  } finally {
    forget();
    clearTimeout(late);
    interruption.signal.removeEventListener('abort', passOn);
  }
}
