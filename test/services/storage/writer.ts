import { FractoryError } from '../../../runtime/errors.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { FileStore } from '../../../services/storage/store.js';

/**
 * A process that writes. `race ROOT TIMES`: adds its pid to one file by conditional writes until it has won TIMES times, and prints the
 * versions it won. `flood ROOT`: writes large contents of one repeated letter until it is killed.
 */
const ref = { client: 'admin', name: 'shared.txt' };
const [mode, root = '', times = '0'] = process.argv.slice(2);
const store = await FileStore.open(root, DEFAULT_STORAGE_LIMITS);
console.log('ready');
if (mode === 'race') await race(Number(times));
else await flood();

async function race(wins: number): Promise<void> {
  while (wins > 0) {
    const { file, data } = await store.readAll(ref, 1_000_000, 'test');
    const next = Buffer.concat([data, Buffer.from(`${String(process.pid)}\n`)]);
    try {
      const written = await store.write(ref, [next], { ifVersion: file.version });
      console.log(String(written.version));
      wins--;
    } catch (error) {
      if (!(error instanceof FractoryError) || error.reason !== 'VERSION_MISMATCH') throw error;
    }
  }
}

async function flood(): Promise<void> {
  for (let round = 0; ; round++) {
    const letter = String.fromCharCode(97 + (round % 26));
    const chunk = Buffer.alloc(64 * 1024, letter);
    if (round % 7 === 6) await store.delete(ref);
    else await store.write(ref, [chunk, chunk, Buffer.from(letter.repeat(round % 5))]);
  }
}
