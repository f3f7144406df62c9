import { openSync } from 'node:fs';

import { createLogger } from '../runtime/logger.js';
import type { Logger } from '../runtime/logger.js';
import { LogFiles } from './log-files.js';

/** Name of the launcher's own log among those of the members. */
export const LAUNCHER = 'launcher';

/** The log of a launcher whose standard output is not its log: it stays open until the process ends. */
export async function launcherLog(statePath: string): Promise<Logger> {
  const file = await new LogFiles(statePath).prepare(LAUNCHER);
  return createLogger({ fields: { member: LAUNCHER }, descriptor: openSync(file, 'a', 0o600) });
}
