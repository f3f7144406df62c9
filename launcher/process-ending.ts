import { systemClock } from '../runtime/clock.js';
import { sleep } from '../runtime/deadline.js';
import { isRunning, signalProcess } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

const LOOK_MS = 25;

/** Resolves with true when the process is gone, with false if it isn't within `timeoutMs`. */
export async function waitUntilGone(
  identity: ProcessIdentity,
  timeoutMs: number,
): Promise<boolean> {
  const untilMs = systemClock.monotonicMs() + timeoutMs;
  while (await isRunning(identity)) {
    if (systemClock.monotonicMs() > untilMs) return false;
    await sleep(LOOK_MS);
  }
  return true;
}

/** Asks processes to end, and kills those that still run after `graceMs`. Returns how many there were. */
export async function endProcesses(
  identities: readonly ProcessIdentity[],
  graceMs: number,
): Promise<number> {
  const ended = await Promise.all(
    identities.map(async (identity) => {
      if (!(await signalProcess(identity, 'SIGTERM'))) return 0;
      if (await waitUntilGone(identity, graceMs)) return 1;
      await signalProcess(identity, 'SIGKILL');
      await waitUntilGone(identity, graceMs);
      return 1;
    }),
  );
  return ended.reduce<number>((sum, one) => sum + one, 0);
}
