import { createHash } from 'node:crypto';

import { FractoryError } from '../../../runtime/errors.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { FileStore } from '../../../services/storage/store.js';
import { seededRandom } from '../../../runtime/seeded-random.js';

/**
 * A process that writes and deletes files, each name in its turn and all names at a time, until it is killed: `kill-writer ROOT SEED NAME...`. It says
 * what it begins, and what it was told: `put NAME SHA256 .`, `delete NAME - .`, `done NAME VERSION .`, `missing NAME - .`.
 */
const CLIENT = 'kills';
const SIZES = [0, 100, 5000, 200_000];
const [root = '', seed = '0', ...names] = process.argv.slice(2);
const random = seededRandom(Number(seed));
const store = await FileStore.open(root, DEFAULT_STORAGE_LIMITS);
console.log('ready');
await Promise.all(names.map(write));

async function write(name: string): Promise<void> {
  for (let round = 0; ; round++) {
    if (random() < 0.15) await remove(name);
    else await put(name, round);
  }
}

async function put(name: string, round: number): Promise<void> {
  const size = SIZES[Math.floor(random() * SIZES.length)] ?? 0;
  const text = `${name} ${seed} ${String(process.pid)} ${String(round)}\n`;
  const content = Buffer.from(text.repeat(Math.ceil(size / text.length)));
  console.log(`put ${name} ${createHash('sha256').update(content).digest('hex')} .`);
  const { version } = await store.write({ client: CLIENT, name }, [content]);
  console.log(`done ${name} ${String(version)} .`);
}

async function remove(name: string): Promise<void> {
  console.log(`delete ${name} - .`);
  try {
    const version = await store.delete({ client: CLIENT, name });
    console.log(`done ${name} ${String(version)} .`);
  } catch (error) {
    if (!(error instanceof FractoryError) || error.reason !== 'FILE_NOT_FOUND') throw error;
    console.log(`missing ${name} - .`);
  }
}
