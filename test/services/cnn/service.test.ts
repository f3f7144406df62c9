import { status } from '@grpc/grpc-js';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import type { Sharp } from 'sharp';

import { FractoryError } from '../../../runtime/errors.js';
import type { Card } from '../../../services/cnn/card.js';
import type { Picture } from '../../../services/cnn/picture.js';
import { assert, rejects, suite } from '../../suite.js';
import { encoded, openCnn, shippedModels, temporaryFolder } from './fixture.js';
import { averagingCard, installModel } from './onnx-model.js';

/** A plain picture; its colour is what an averaging model answers. */
function plain(r: number, g: number, b: number, alpha?: number): Sharp {
  const background = alpha === undefined ? { r, g, b } : { r, g, b, alpha };
  return sharp({
    create: { width: 20, height: 10, channels: alpha === undefined ? 3 : 4, background },
  });
}

/** What an averaging model with these inputs answers, by label. */
async function averages(
  image: Uint8Array,
  changes: Partial<Card['input']> = {},
): Promise<Record<string, number>> {
  await using folder = await temporaryFolder();
  await installModel(folder.path, averagingCard('average', changes));
  await using cnn = await openCnn([folder.path], {}, 'average');
  const { labels } = await cnn.predict(encoded(image));
  return Object.fromEntries(labels.map(({ label, probability }) => [label, probability]));
}

function near(found: Record<string, number>, expected: readonly number[], within = 0.003): void {
  ['first', 'second', 'third'].slice(0, expected.length).forEach((label, at) => {
    const difference = Math.abs((found[label] ?? Number.NaN) - (expected[at] ?? 0));
    assert.ok(difference <= within, `${label}: ${JSON.stringify(found)}`);
  });
}

suite('preparing pictures for a model', (test) => {
  const mean = [0.1, 0.2, 0.3];
  const std = [0.5, 0.25, 2];
  const normal = [(1 - 0.1) / 0.5, (0.6 - 0.2) / 0.25, (0.2 - 0.3) / 2];

  const cards: readonly (readonly [string, Partial<Card['input']>, readonly number[]])[] = [
    ['NCHW, RGB', {}, [1, 0.6, 0.2]],
    ['NHWC, RGB', { layout: 'NHWC' }, [1, 0.6, 0.2]],
    ['NCHW, BGR', { colorOrder: 'BGR' }, [0.2, 0.6, 1]],
    ['NHWC, BGR', { layout: 'NHWC', colorOrder: 'BGR' }, [0.2, 0.6, 1]],
    ['mean and std', { mean, std }, normal],
    ['mean and std, NHWC', { mean, std, layout: 'NHWC' }, normal],
    ['bytes as they are', { scale: 1 }, [255, 153, 51]],
    ['a size that is not square', { width: 12, height: 5 }, [1, 0.6, 0.2]],
  ];
  for (const [name, changes, expected] of cards)
    test(`a model gets what its card says: ${name}`, async () => {
      near(await averages(await plain(255, 153, 51).png().toBuffer(), changes), expected);
    });

  test('a model of one channel gets grey', async () => {
    near(await averages(await plain(128, 128, 128).png().toBuffer(), { channels: 1 }), [0.502]);
  });

  test('contain leaves white edges, cover cuts, fill distorts', async () => {
    const black = await plain(0, 0, 0).png().toBuffer();
    near(await averages(black, { resize: 'contain' }), [0.5, 0.5, 0.5]);
    near(await averages(black, { resize: 'cover' }), [0, 0, 0]);
    near(await averages(black, { resize: 'fill' }), [0, 0, 0]);
  });

  const formats: readonly (readonly [string, () => Promise<Buffer>, number])[] = [
    ['JPEG', () => plain(255, 153, 51).jpeg({ quality: 95 }).toBuffer(), 0.02],
    ['PNG with a palette', () => plain(255, 153, 51).png({ palette: true }).toBuffer(), 0.01],
    ['PNG of 16 bits', () => plain(255, 153, 51).toColourspace('rgb16').png().toBuffer(), 0.01],
    ['WebP', () => plain(255, 153, 51).webp({ lossless: true }).toBuffer(), 0.01],
    ['GIF', () => plain(255, 153, 51).gif().toBuffer(), 0.02],
    ['TIFF', () => plain(255, 153, 51).tiff({ compression: 'lzw' }).toBuffer(), 0.01],
    ['AVIF', () => plain(255, 153, 51).avif({ lossless: true }).toBuffer(), 0.02],
  ];
  for (const [name, make, within] of formats)
    test(`a picture may be ${name}`, async () => {
      near(await averages(await make()), [1, 0.6, 0.2], within);
    });

  test('a CMYK JPEG and a grey PNG become RGB', async () => {
    const cmyk = await plain(255, 255, 255).toColourspace('cmyk').jpeg().toBuffer();
    assert.is((await sharp(cmyk).metadata()).space, 'cmyk');
    near(await averages(cmyk), [1, 1, 1], 0.03);
    near(
      await averages(await plain(51, 51, 51).toColourspace('b-w').png().toBuffer()),
      [0.2, 0.2, 0.2],
      0.01,
    );
  });

  test('what is transparent is white', async () => {
    near(await averages(await plain(0, 0, 0, 0).png().toBuffer()), [1, 1, 1]);
    near(await averages(await plain(0, 0, 0, 0.5).png().toBuffer()), [0.5, 0.5, 0.5], 0.01);
  });

  test('only the first page of an animation counts', async () => {
    const pages = await sharp(
      [await plain(255, 0, 0).png().toBuffer(), await plain(0, 0, 255).png().toBuffer()],
      { join: { animated: true } },
    )
      .gif()
      .toBuffer();
    assert.is((await sharp(pages).metadata()).pages, 2);
    near(await averages(pages), [1, 0, 0], 0.02);
  });

  test('a picture is turned as its EXIF data say', async () => {
    // Left half black, right half white; turned by 90 degrees the upper half is black.
    const halves = await sharp({
      create: { width: 64, height: 64, channels: 3, background: '#000' },
    })
      .composite([
        {
          input: await sharp({ create: { width: 32, height: 64, channels: 3, background: '#fff' } })
            .png()
            .toBuffer(),
          left: 32,
          top: 0,
        },
      ])
      .png()
      .toBuffer();
    const turned = await sharp(halves).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    // The middle of a tall strip, fitted into a wide one, sees both halves only if it isn't turned.
    const { decodePicture } = await import('../../../services/cnn/pictures/picture.js');
    const { DEFAULT_CNN_LIMITS } = await import('../../../services/cnn/limits.js');
    const { input } = averagingCard('average', { width: 4, height: 4 });
    const { data } = await decodePicture(turned, input, DEFAULT_CNN_LIMITS);
    const red = (row: number, column: number): number => data[(row * 4 + column) * 3] ?? -1;
    assert.ok(red(0, 0) < 40 && red(0, 3) < 40, 'the upper half is black');
    assert.ok(red(3, 0) > 215 && red(3, 3) > 215, 'the lower half is white');
  });
});

suite('pictures that are refused', (test) => {
  const bad: readonly (readonly [string, () => Promise<Uint8Array> | Uint8Array, string])[] = [
    ['no bytes', () => new Uint8Array(), 'BROKEN_IMAGE'],
    ['a text', () => Buffer.from('not a picture at all'), 'UNSUPPORTED_IMAGE'],
    ['an SVG', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'UNSUPPORTED_IMAGE'],
    ['a PDF', () => Buffer.from('%PDF-1.7 and so on and on'), 'UNSUPPORTED_IMAGE'],
    ['a JPEG cut in half', async () => (await photo()).subarray(0, 900), 'BROKEN_IMAGE'],
    [
      'a PNG header only',
      async () => (await plain(1, 2, 3).png().toBuffer()).subarray(0, 40),
      'BROKEN_IMAGE',
    ],
    [
      'a JPEG signature and zeros',
      () => Buffer.concat([Buffer.from('ffd8ffe0', 'hex'), Buffer.alloc(2000)]),
      'BROKEN_IMAGE',
    ],
  ];
  for (const [name, make, reason] of bad)
    test(`${name}: ${reason}`, async () => {
      await using cnn = await openCnn([shippedModels]);
      await rejects(cnn.predict(encoded(await make())), FractoryError, {
        code: status.INVALID_ARGUMENT,
        reason,
      });
    });

  test(
    'a bomb of 400 megapixels in a small file is refused by its header',
    async () => {
      const bomb = await sharp({
        limitInputPixels: false,
        create: { width: 20_000, height: 20_000, channels: 3, background: '#123456' },
      })
        .png({ compressionLevel: 9 })
        .toBuffer();
      await using cnn = await openCnn([shippedModels]);
      const error = await rejects(cnn.predict(encoded(bomb)), FractoryError, {
        reason: 'IMAGE_TOO_LARGE',
      });
      assert.match(error.message, /20000x20000.*max_image_pixels is 40000000/);
    },
    { timeoutMs: 60_000 },
  );

  test('a file of too many bytes is refused, and the limit named', async () => {
    await using cnn = await openCnn([shippedModels], { max_image_bytes: 1000 });
    const error = await rejects(cnn.predict(encoded(await photo())), FractoryError, {
      reason: 'IMAGE_TOO_LARGE',
    });
    assert.is(error.metadata['limit'], 'max_image_bytes');
  });

  test('more pictures at a time than max_queued are refused, and tell when to try again', async () => {
    await using cnn = await openCnn([shippedModels], { max_queued: 2 });
    const picture = await photo();
    const results = await Promise.allSettled([1, 2, 3].map(() => cnn.predict(encoded(picture))));
    const refused = results.find((result) => result.status === 'rejected');
    assert.is((refused?.reason as FractoryError).reason, 'QUEUE_FULL');
    assert.ok((refused?.reason as FractoryError).retryAfterMs);
    assert.is(results.filter((result) => result.status === 'fulfilled').length, 2);
    await cnn.predict(encoded(picture));
  });

  test('a picture that is elsewhere is fetched once there is a place for it', async () => {
    await using cnn = await openCnn([shippedModels], { max_queued: 1 });
    const picture = await photo();
    const fetches: string[] = [];
    const stored = (name: string): Picture => ({
      kind: 'stored',
      fetch: () => {
        fetches.push(name);
        return Promise.resolve(picture);
      },
    });
    const [one, two] = await Promise.allSettled(
      ['a', 'b'].map((name) => cnn.predict(stored(name))),
    );
    assert.equal([one?.status, two?.status, fetches], ['fulfilled', 'rejected', ['a']]);
  });

  test('pictures that take more than max_queued_bytes together are refused, those to be fetched before they come', async () => {
    const picture = await photo();
    await using cnn = await openCnn([shippedModels], { max_queued_bytes: picture.length + 10 });
    const beyond: Picture = {
      kind: 'stored',
      fetch: (hold) => {
        hold(11);
        return Promise.reject(new Error('it came'));
      },
    };
    const results = await Promise.allSettled([cnn.predict(encoded(picture)), cnn.predict(beyond)]);
    assert.equal(
      results.map((result) => result.status),
      ['fulfilled', 'rejected'],
    );
    const error = (results[1] as PromiseRejectedResult).reason as FractoryError;
    assert.equal([error.reason, error.metadata['limit']], ['QUEUE_FULL', 'max_queued_bytes']);
    assert.ok(error.retryAfterMs);
  });
});

suite('models', (test) => {
  test('an unknown model names those there are and the one that was meant', async () => {
    await using cnn = await openCnn([shippedModels]);
    const error = await rejects(
      cnn.predict(encoded(await photo()), { model: 'shape' }),
      FractoryError,
      {
        code: status.NOT_FOUND,
        reason: 'MODEL_NOT_FOUND',
      },
    );
    assert.match(error.message, /cats-vs-dogs, cats-vs-dogs-small, shapes; did you mean shapes\?/);
    await rejects(cnn.predict(encoded(await photo()), { version: 99 }), FractoryError, {
      reason: 'MODEL_NOT_FOUND',
    });
    await rejects(cnn.predict(encoded(await photo()), { model: '../shapes' }), FractoryError, {
      reason: 'BAD_NAME',
    });
  });

  test('a version is the newest unless it is named', async () => {
    await using folder = await temporaryFolder();
    for (const version of [1, 2, 10])
      await installModel(folder.path, { ...averagingCard('average'), version });
    await using cnn = await openCnn([folder.path], {}, 'average');
    assert.is((await cnn.predict(encoded(await photo()))).version, 10);
    assert.is((await cnn.predict(encoded(await photo()), { version: 2 })).version, 2);
  });

  const damages: readonly (readonly [string, (folder: string) => Promise<void>, RegExp])[] = [
    ['a flipped byte', (folder) => writeFile(path.join(folder, 'model.onnx'), 'x'), /SHA-256/],
    [
      'a card that is not JSON',
      (folder) => writeFile(path.join(folder, 'model.json'), '{'),
      /JSON/,
    ],
    [
      'a card without labels',
      (folder) => writeFile(path.join(folder, 'model.json'), '{"name":"a"}'),
      /model\.json/,
    ],
  ];
  for (const [name, damage, pattern] of damages)
    test(`${name} is told and refused, and the others serve`, async () => {
      await using folder = await temporaryFolder();
      await damage(await installModel(folder.path, averagingCard('damaged')));
      await installModel(folder.path, averagingCard('sound'));
      await using cnn = await openCnn([folder.path], {}, 'sound');
      const error = await rejects(
        cnn.predict(encoded(await photo()), { model: 'damaged' }),
        FractoryError,
        {
          code: status.FAILED_PRECONDITION,
          reason: 'MODEL_CORRUPT',
        },
      );
      assert.match(error.message, pattern);
      assert.is((await cnn.predict(encoded(await photo()))).model, 'sound');
      assert.match(cnn.models().find((model) => model.name === 'damaged')?.state ?? '', pattern);
    });

  test('a file with the right hash that is no ONNX, or answers otherwise than its card, is refused', async () => {
    const { createHash } = await import('node:crypto');
    const junk = Buffer.from('this is no model');
    await using folder = await temporaryFolder();
    await installModel(
      folder.path,
      { ...averagingCard('junk'), sha256: createHash('sha256').update(junk).digest('hex') },
      junk,
    );
    await installModel(folder.path, { ...averagingCard('labels'), labels: ['only one'] });
    const card = averagingCard('input');
    await installModel(folder.path, { ...card, input: { ...card.input, name: 'other' } });
    await using cnn = await openCnn([folder.path], {}, 'junk');
    for (const model of ['junk', 'labels', 'input'])
      await rejects(cnn.predict(encoded(await photo()), { model }), FractoryError, {
        reason: 'MODEL_CORRUPT',
      });
    const states = cnn.models().map((model) => model.state);
    assert.not(states.includes('ready'), states.join('; '));
  });

  test('top_k bounds the labels, and probabilities sum to 1', async () => {
    await using cnn = await openCnn([shippedModels]);
    const picture = await photo();
    const all = await cnn.predict(encoded(picture), { model: 'shapes' });
    assert.is(all.labels.length, 4);
    const sum = all.labels.reduce((left, right) => left + right.probability, 0);
    assert.ok(Math.abs(sum - 1) < 1e-6);
    const one = await cnn.predict(encoded(picture), { model: 'shapes', topK: 1 });
    assert.equal(one.labels, all.labels.slice(0, 1));
  });
});

suite('a node while it computes', (test) => {
  test('the event loop answers timers while pictures are classified', async () => {
    await using cnn = await openCnn([shippedModels]);
    const picture = await photo();
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    await Promise.all(Array.from({ length: 100 }, () => cnn.predict(encoded(picture))));
    clearInterval(timer);
    // 20 ms on a free machine; tests run beside each other.
    assert.ok(longest < 150, `${String(Math.round(longest))} ms between two timers`);
  });

  test('a cancelled prediction ends at once, and the next one works', async () => {
    await using cnn = await openCnn([shippedModels]);
    const picture = await photo();
    const reason = new Error('enough');
    const error = await rejects(
      cnn.predict(encoded(picture), { signal: AbortSignal.abort(reason) }),
      Error,
    );
    assert.is(error, reason);
    await cnn.predict(encoded(picture));
  });
});

/** A JPEG with something in it. */
function photo(): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return sharp({ create: { width: 128, height: 128, channels: 3, background: '#888', noise } })
    .jpeg()
    .toBuffer();
}
