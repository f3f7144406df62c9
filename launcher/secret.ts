import { randomBytes } from 'node:crypto';

import { secretFile } from '../config/node.js';
import { gossipKeyFile } from '../config/gossip.js';
import { createFile } from './atomic-file.js';

/** Makes the data center's secret at its first start: 32 random bytes that only the owner of the folder can read. */
export async function ensureSecret(statePath: string): Promise<void> {
  await createFile(secretFile(statePath), `${randomBytes(32).toString('hex')}\n`);
}

/** Makes the key that encrypts gossip, where the ini file says nothing of one: 32 random bytes that only the owner of the folder can read. */
export async function ensureGossipKey(statePath: string): Promise<void> {
  await createFile(gossipKeyFile(statePath), `${randomBytes(32).toString('base64')}\n`);
}
