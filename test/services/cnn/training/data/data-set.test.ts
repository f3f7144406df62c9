import { status } from '@grpc/grpc-js';

import { FractoryError, unavailable } from '../../../../../runtime/errors.js';
import { checkBalance } from '../../../../../services/cnn/training/data/balance.js';
import { readDataSet } from '../../../../../services/cnn/training/data/data-set.js';
import type { DataSet, SkippedFile } from '../../../../../services/cnn/training/data/data-set.js';
import { filesOf } from '../../../../../services/cnn/training/data/file-keys.js';
import { PixelStore } from '../../../../../services/cnn/training/data/pixel-store.js';
import type { TrainingLimits } from '../../../../../services/cnn/training/limits.js';
import { assert, rejects, suite } from '../../../../suite.js';
import { colourPictures, LIMITS, plainPicture, sourceOf } from '../pictures.js';
import type { MadeFile } from '../pictures.js';

interface Read {
  readonly data: DataSet;
  readonly skipped: readonly SkippedFile[];
}

async function read(
  files: readonly MadeFile[],
  limits: Partial<TrainingLimits> = {},
  knowsHashes = false,
): Promise<Read> {
  const skipped: SkippedFile[] = [];
  const data = await readDataSet(sourceOf(files, knowsHashes), {
    ...{ sampleLimit: 0, seed: 1n, validationShare: 0.1 },
    ...{ trainingSidePx: 8, validationSidesPx: () => [8, 4] },
    limits: { ...LIMITS, ...limits },
    signal: new AbortController().signal,
    onFile: () => undefined,
    onSkipped: (file) => skipped.push(file),
  });
  return { data, skipped };
}

suite('a data set', (test) => {
  test('holds decoded pictures of both sides, at each size, with their classes', async () => {
    const { data, skipped } = await read(await colourPictures(30));
    assert.equal(data.labels, ['blue', 'red']);
    assert.equal(skipped, []);
    const [large, small] = data.validation;
    assert.is(data.training.labels.length + large!.labels.length, 60);
    assert.equal(small?.labels, large?.labels);
    assert.is(small?.pixels.sidePx, 4);
    const store = new PixelStore(data.training.pixels);
    data.training.slots.forEach((slot, at) => {
      const pixels = store.picture(slot);
      const isRed = pixels[30]! > pixels[32]!;
      assert.is(data.labels[data.training.labels[at]!], isRed ? 'red' : 'blue');
    });
  });

  test('reports and leaves alone what is no picture, broken, empty, linked or too large', async () => {
    const good = await colourPictures(30);
    const picture = await plainPicture([9, 9, 9], 7_000_000);
    const { data, skipped } = await read(
      [
        ...good,
        { path: 'red/notes.txt', bytes: Buffer.from('no picture') },
        { path: 'red/half.png', bytes: picture.subarray(0, picture.length - 30) },
        { path: 'red/empty.png', bytes: Buffer.alloc(0) },
        { path: 'red/link.png', bytes: picture, problem: 'is a symbolic link' },
        { path: 'red/large.png', bytes: Buffer.alloc(5000, 1) },
        { path: 'test/red/apart.png', bytes: picture },
      ],
      { max_image_bytes: 4000 },
    );
    assert.equal(
      skipped.map(({ name }) => name).sort(),
      ['empty', 'half', 'large', 'link']
        .map((name) => `red/${name}.png`)
        .concat([...['red/notes.txt', 'test/red/apart.png']]),
    );
    assert.is(data.skipped, 6);
    assert.is(data.training.labels.length + data.validation[0]!.labels.length, 60);
    assert.match(skipped.find(({ name }) => name === 'red/large.png')!.reason, /max_image_bytes/);
  });

  test('has the same hash wherever its files lie and whoever hashes them', async () => {
    const files = await colourPictures(20);
    const { data } = await read(files);
    const elsewhere = files.map((file) => ({ ...file, path: `elsewhere/${file.path}` })).reverse();
    assert.is((await read(elsewhere, {}, true)).data.dataHash, data.dataHash);
    assert.is.not((await read(files.slice(2))).data.dataHash, data.dataHash);
  });

  test('refuses too few pictures, one class and classes out of balance, with the counts', async () => {
    const files = await colourPictures(40);
    const reds = files.filter(({ path }) => path.startsWith('red'));
    const blues = files.filter(({ path }) => path.startsWith('blue'));
    for (const [given, reason, told] of [
      [files.slice(0, 31), 'TOO_FEW_PICTURES', /31 pictures/],
      [[], 'TOO_FEW_PICTURES', /0 pictures/],
      [reds, 'ONE_CLASS', /red 40/],
      [[...reds, ...blues.slice(0, 26)], 'UNBALANCED_CLASSES', /blue 26, red 40/],
    ] as const) {
      const error = await rejects(read(given), FractoryError, { reason });
      assert.match(error.message, told);
    }
    await read([...reds, ...blues.slice(0, 27)]);
  });

  test('follows its files by name, though others come and go while it is read', async () => {
    const files = await colourPictures(30);
    const first = files[0]!;
    const other = await plainPicture([9, 200, 9], 8_000_000);
    let walks = 0;
    const source = {
      files: (signal: AbortSignal) => {
        const changed = files.map((file) => (file === first ? { ...file, bytes: other } : file));
        const news = { path: 'red/0-new.png', bytes: other };
        return sourceOf(walks++ === 0 ? files : [news, ...changed]).files(signal);
      },
    };
    const skipped: SkippedFile[] = [];
    const data = await readDataSet(source, {
      ...{ sampleLimit: 0, seed: 1n, validationShare: 0.1, limits: LIMITS },
      ...{ trainingSidePx: 8, validationSidesPx: () => [8] },
      signal: new AbortController().signal,
      onFile: () => undefined,
      onSkipped: (file) => skipped.push(file),
    });
    assert.equal(skipped, [{ name: first.path, reason: 'has changed while it was read' }]);
    assert.is(data.training.labels.length + data.validation[0]!.labels.length, 59);
    const store = new PixelStore(data.training.pixels);
    data.training.slots.forEach((slot, at) => {
      const pixels = store.picture(slot);
      assert.is(data.labels[data.training.labels[at]!], pixels[30]! > pixels[32]! ? 'red' : 'blue');
    });
    const asked: number[] = [];
    for await (const { label } of filesOf(
      source,
      data.validationFiles,
      new AbortController().signal,
    ))
      asked.push(label);
    assert.is(asked.length, data.validationFiles.length);
    // One that was deleted since is not asked about.
    const gone = new FractoryError(status.NOT_FOUND, 'FILE_NOT_FOUND', 'it is gone');
    const path = data.validationFiles[0]!.key;
    const without = {
      async *files(signal: AbortSignal) {
        for await (const file of sourceOf(files).files(signal))
          yield file.path === path ? { ...file, read: () => Promise.reject(gone) } : file;
      },
    };
    let left = 0;
    for await (const { bytes } of filesOf(
      without,
      data.validationFiles,
      new AbortController().signal,
    ))
      left += Math.sign(bytes.length);
    assert.is(left, data.validationFiles.length - 1);
  });

  test('tells names without what a terminal would obey', async () => {
    const { skipped } = await read([
      ...(await colourPictures(20)),
      { path: `red/\u001b[2J${'long'.repeat(100)}.txt`, bytes: Buffer.from('no picture') },
    ]);
    assert.is(skipped[0]?.name.length, 203);
    assert.match(skipped[0]!.name, /^red\/\?\[2Jlong/);
  });

  test('refuses more classes than a confusion matrix can have', () => {
    const counts = Array.from({ length: 1001 }, (_, at) => ({
      ...{ label: String(at), training: 9, validation: 1 },
    }));
    checkBalance(counts.slice(1));
    assert.throws(() => {
      checkBalance(counts);
    }, /1001 classes, 1000/);
  });

  test('keeps to its limits of files and memory', async () => {
    const files = await colourPictures(20);
    for (const [limits, name] of [
      [{ max_training_pictures: 39 }, 'max_training_pictures'],
      [{ max_training_memory_bytes: 1000 }, 'max_training_memory_bytes'],
    ] as const) {
      const error = await rejects(read(files, limits), FractoryError, { reason: 'LIMIT_EXCEEDED' });
      assert.match(error.message, new RegExp(name));
    }
  });

  test('goes on past what is wrong with one file, and ends at what is wrong with its source', async () => {
    const source = {
      async *files() {
        await Promise.resolve();
        const lost = unavailable('OWNER_LOST', 'storage is gone');
        yield { path: 'red/1.png', sizeBytes: 9, read: () => Promise.reject(lost) };
      },
    };
    const options = { sampleLimit: 0, seed: 1n, validationShare: 0.1, limits: LIMITS };
    await rejects(
      readDataSet(source, {
        ...{ ...options, trainingSidePx: 8, validationSidesPx: () => [8] },
        signal: new AbortController().signal,
        ...{ onFile: () => undefined, onSkipped: () => undefined },
      }),
      FractoryError,
      { reason: 'OWNER_LOST' },
    );
  });
});
