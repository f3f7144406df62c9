import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { messageOf, systemCodeOf } from '../runtime/errors.js';
import { reader } from './fields.js';
import type { GossipConfig } from './node-config.js';
import { resolvePath } from './paths.js';
import type { Places } from './paths.js';
import type { Problem } from './problems.js';
import { foundText } from './values.js';

/** The keys of the section that are right. */
export interface GossipSection {
  readonly enabled?: boolean;
  readonly join?: readonly string[] | undefined;
  readonly profile?: GossipConfig['profile'];
  readonly port?: number;
  readonly key?: readonly string[] | undefined;
  readonly key_file?: string | undefined;
  readonly keyring?: string;
}

const KEY =
  'base64 of 16, 24 or 32 bytes; several with commas between them, the first one encrypts';
const SIZES: ReadonlySet<number> = new Set([16, 24, 32]);

/** Keys that encrypt gossip. */
export function gossipKeys() {
  return reader(KEY, keysIn);
}

function keysIn(text: string): string[] | undefined {
  const keys = text.split(/[\s,]+/).filter((word) => word !== '');
  return keys.length > 0 && keys.every(isKey) ? keys : undefined;
}

function isKey(word: string): boolean {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(word) && SIZES.has(Buffer.from(word, 'base64').length);
}

/** What nodes need to gossip; undefined = they don't. Reads the file that the section names; pushes what is wrong. */
export function gossipFrom(
  section: GossipSection,
  places: Places,
  problems: Problem[],
): GossipConfig | undefined {
  if (!section.enabled) return undefined;
  const { key, key_file: file, keyring } = section;
  if (key && file !== undefined)
    problems.push({
      ...{ section: 'Gossip', key: 'key_file', expected: 'key or key_file', found: 'both' },
    });
  return {
    join: section.join ?? [],
    profile: section.profile ?? 'fast',
    port: section.port ?? 0,
    ...(keyring === undefined ? {} : { keyring: resolvePath(places, keyring) }),
    keys: key ?? (file === undefined ? [] : keysOf(resolvePath(places, file), problems)),
  };
}

function keysOf(file: string, problems: Problem[]): readonly string[] {
  const wrong = (found: string): readonly string[] => {
    problems.push({
      ...{ section: 'Gossip', key: 'key_file', expected: `a file with ${KEY}`, found },
      remedy: `make one: head -c 32 /dev/urandom | base64 > ${file}`,
    });
    return [];
  };
  try {
    return keysIn(readFileSync(file, 'utf8')) ?? wrong(`something else in ${foundText(file)}`);
  } catch (error) {
    return wrong(systemCodeOf(error) === 'ENOENT' ? `no ${foundText(file)}` : messageOf(error));
  }
}

/** File of the key where the ini file says nothing of one; the launcher makes it. */
export function gossipKeyFile(statePath: string): string {
  return path.join(statePath, 'gossip-key');
}

/** The same with its keys, or with what keeps a node from having some. */
export async function withKeys(config: GossipConfig, statePath: string): Promise<GossipConfig> {
  if (config.keys.length > 0) return config;
  const file = gossipKeyFile(statePath);
  const remedy =
    './datacenter up makes it; on another machine set FRACTORY_GOSSIP_KEY to what is in it';
  try {
    const keys = keysIn(await readFile(file, 'utf8'));
    if (keys) return { ...config, keys };
    return { ...config, problem: `${file} holds no key: remove it, ${remedy}` };
  } catch (error) {
    const why = systemCodeOf(error) === 'ENOENT' ? 'is missing' : messageOf(error);
    return { ...config, problem: `the key ${file} ${why}: ${remedy}` };
  }
}
