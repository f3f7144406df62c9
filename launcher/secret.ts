import { randomBytes } from 'node:crypto';

import { secretFile } from '../config/node.js';
import { gossipKeyFile } from '../config/gossip.js';
import type { GossipConfig } from '../config/node-config.js';
import { KeyringFile } from '../gossip/serf/keyring-file.js';
import { createFile } from './atomic-file.js';

/** Makes the data center's secret at its first start: 32 random bytes that only the owner of the folder can read. */
export async function ensureSecret(statePath: string): Promise<void> {
  await createFile(secretFile(statePath), `${randomBytes(32).toString('hex')}\n`);
}

/**
 * Sees to the keys that encrypt gossip: where the ini file says nothing of one it makes 32 random bytes that only the owner of the folder can read. FAILED_PRECONDITION where the
 * keyring is no keyring.
 */
export async function ensureGossipKeys(config: GossipConfig, statePath: string): Promise<void> {
  const { keys, keyring } = config;
  if (keyring !== undefined) await new KeyringFile(keyring).read();
  if (keys.length > 0) return;
  await createFile(gossipKeyFile(statePath), `${randomBytes(32).toString('base64')}\n`);
}
