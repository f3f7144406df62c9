import { FractoryError } from '../../../runtime/errors.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { FileStore } from '../../../services/storage/store.js';
import { CAT } from './fixture.js';

/**
 * A process that believes that it leads in an epoch. `fenced-writer ROOT EPOCH`: writes CAT, and freezes itself when all of the content is
 * read and nothing is in place; prints what the write came to.
 */
const [root = '', epoch = '0'] = process.argv.slice(2);
const store = await FileStore.open(root, DEFAULT_STORAGE_LIMITS, { epoch: () => BigInt(epoch) });

async function* content(): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from('by the old leader');
  await new Promise((resolve) => process.stdout.write('frozen\n', resolve));
  process.kill(process.pid, 'SIGSTOP');
}

try {
  const { version } = await store.write(CAT, content());
  console.log(`version ${String(version)}`);
} catch (error) {
  console.log(error instanceof FractoryError ? error.reason : String(error));
}
