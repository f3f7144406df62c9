import { createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';

import { pack } from 'tar-stream';

import { FractoryError } from '../../../../../runtime/errors.js';
import { tarSource } from '../../../../../services/cnn/training/data/tar-source.js';
import { assert, rejects, suite } from '../../../../suite.js';
import { temporaryFolder } from '../../fixture.js';

const signal = new AbortController().signal;

async function makeTar(file: string): Promise<void> {
  const tar = pack();
  tar.entry({ name: 'cat', type: 'directory' });
  tar.entry({ name: 'cat/1.jpg' }, 'first');
  tar.entry({ name: 'cat/2.jpg', type: 'symlink', linkname: '/etc/passwd' });
  tar.entry({ name: `cat/${'long'.repeat(60)}.jpg` }, 'third');
  tar.finalize();
  await pipeline(tar, createWriteStream(file));
}

async function listed(file: string, wanted: (path: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  for await (const one of tarSource(file, 10 * 1024 ** 2).files(signal)) {
    const content = wanted(one.path) ? Buffer.from(await one.read()).toString() : '-';
    found.push(`${one.path.slice(0, 9)} ${one.problem ?? content}`);
  }
  return found;
}

suite('a tar of pictures', (test) => {
  test('yields its files in order, read or not, and says what is a link', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'a.tar');
    await makeTar(file);
    const all = ['cat/1.jpg first', 'cat/2.jpg is a symbolic link', 'cat/longl third'];
    assert.equal(await listed(file, () => true), all);
    assert.equal(await listed(file, (name) => name === 'cat/1.jpg'), [
      ...all.slice(0, 2),
      'cat/longl -',
    ]);
  });

  test('may be packed with gzip', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'a.tar');
    await makeTar(file);
    await writeFile(file, gzipSync(await readFile(file)));
    assert.is((await listed(file, () => true)).length, 3);
  });

  test('that is none, or breaks off, is refused', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'a.tar');
    await makeTar(file);
    const whole = await readFile(file);
    for (const content of [Buffer.alloc(5000, 'x'), whole.subarray(0, 700)]) {
      await writeFile(file, content);
      await rejects(
        listed(file, () => true),
        FractoryError,
        { reason: 'BAD_TAR' },
      );
    }
  });
});

/** A tar of blocks that no well-meaning program writes. */
function tarOfHeaders(
  ...headers: readonly (readonly [name: string, type: string, size: string])[]
): Buffer {
  return Buffer.concat(
    headers.map(([name, type, size]) => {
      const block = Buffer.alloc(512);
      block.write(name);
      block.write(size.padStart(11, '0'), 124);
      block.write(' '.repeat(8), 148);
      block.write(type, 156);
      block.write('ustar\u000000', 257);
      const sum = block.reduce((total, byte) => total + byte, 0);
      block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148);
      return block;
    }),
  );
}

const END = Buffer.alloc(1024);

suite('a tar that means harm', (test) => {
  test('ends where its headers would fill the memory, or never end', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'a.tar');
    const size = (8 * 1024 ** 2).toString(8);
    const filler = Buffer.alloc(8 * 1024 ** 2);
    for (const content of [
      ...['x', 'g', 'L', 'K'].map((type) =>
        Buffer.concat([tarOfHeaders(['long', type, size]), filler, END]),
      ),
      Buffer.concat([END, filler]),
    ]) {
      await writeFile(file, content);
      const error = await rejects(
        listed(file, () => true),
        FractoryError,
        { reason: 'BAD_TAR' },
      );
      assert.match(error.message, /1048576 bytes without a file/);
    }
  });

  test('is no longer unpacked than it may be packed', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'a.tar');
    const folders = Array.from({ length: 21_000 }, () => ['cat', '5', '0'] as const);
    await writeFile(file, gzipSync(tarOfHeaders(...folders)));
    const error = await rejects(
      listed(file, () => true),
      FractoryError,
      { reason: 'LIMIT_EXCEEDED' },
    );
    assert.match(error.message, /max_data_set_bytes/);
  });

  test('has sizes that say something', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'a.tar');
    const pax = (text: string): Buffer => {
      const record = ` size=${text}\n`;
      const length = record.length + 2;
      const content = Buffer.alloc(512);
      content.write(`${String(length)}${record}`);
      return Buffer.concat([
        tarOfHeaders(['pax', 'x', length.toString(8)]),
        content,
        tarOfHeaders(['cat/1.jpg', '0', '5']),
        Buffer.alloc(512),
        END,
      ]);
    };
    for (const size of ['minus', '-5123']) {
      await writeFile(file, pax(size));
      await rejects(
        listed(file, () => true),
        FractoryError,
        { reason: 'BAD_TAR' },
      );
    }
    // A folder has no content, whatever its header says.
    await writeFile(
      file,
      Buffer.concat([tarOfHeaders(['cat', '5', '1000'], ['cat/1.jpg', '2', '0']), END]),
    );
    assert.equal(await listed(file, () => true), ['cat/1.jpg is a symbolic link']);
  });
});
