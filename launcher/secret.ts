import { randomBytes } from 'node:crypto';

import { secretFile } from '../config/node.js';
import { createFile } from './atomic-file.js';

/** Makes the data center's secret at its first start: 32 random bytes that only the owner of the folder can read. */
export async function ensureSecret(statePath: string): Promise<void> {
  await createFile(secretFile(statePath), `${randomBytes(32).toString('hex')}\n`);
}
