import { status } from '@grpc/grpc-js';
import sharp from 'sharp';

import { FractoryError } from '../../../../runtime/errors.js';
import { DEFAULT_CNN_LIMITS } from '../../../../services/cnn/limits.js';
import { decodePicture, fitPixels } from '../../../../services/cnn/pictures/picture.js';
import { PixelWriter, shapeOf } from '../../../../services/cnn/pictures/tensor.js';
import { assert, rejects, suite } from '../../../suite.js';
import type { PixelInput } from '../../../../services/cnn/serving.js';
import { averagingCard } from '../onnx-model.js';

/** Pixels that all differ. */
function colourful(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, at) => (at * 7919) >>> 2);
}

const inputOf = (
  changes: Parameters<typeof averagingCard>[1],
): ReturnType<typeof averagingCard>['input'] => averagingCard('average', changes).input;

suite('decoding pictures', (test) => {
  test('a picture that has the right size already is not resampled', async () => {
    const rgb = colourful(16, 12);
    const raw = { raw: { width: 16, height: 12, channels: 3 as const } };
    const png = await sharp(rgb, raw).png().toBuffer();
    const input = inputOf({ width: 16, height: 12 });
    const { data } = await decodePicture(png, input, DEFAULT_CNN_LIMITS);
    assert.equal([...data], [...rgb]);
  });

  test('a picture in 16 bits becomes one of 8', async () => {
    const grey = { create: { width: 8, height: 8, channels: 3 as const, background: '#336699' } };
    const png = await sharp(grey).toColourspace('rgb16').png().toBuffer();
    assert.is((await sharp(png).metadata()).depth, 'ushort');
    const { data } = await decodePicture(png, inputOf({}), DEFAULT_CNN_LIMITS);
    assert.equal([...data.subarray(0, 3)], [0x33, 0x66, 0x99]);
  });

  test('broken pictures are told in the same words, however many are decoded at a time', async () => {
    const raw = { raw: { width: 160, height: 120, channels: 3 as const } };
    const [jpeg, png] = await Promise.all([
      sharp(colourful(160, 120), raw).jpeg().toBuffer(),
      sharp(colourful(160, 120), raw).png().toBuffer(),
    ]);
    const cut = [jpeg, png].map((file) => file.subarray(0, file.length / 2));
    const told = await Promise.all(
      Array.from({ length: 40 }, async (_, at) => {
        const decoding = decodePicture(cut[at % 2] ?? jpeg, inputOf({}), DEFAULT_CNN_LIMITS);
        return (await rejects(decoding, FractoryError, { reason: 'BROKEN_IMAGE' })).message;
      }),
    );
    const words = "the picture can't be decoded: its file is broken or ends too early";
    assert.equal([...new Set(told)], [words]);
  });
});

suite('pixels that are decoded already', (test) => {
  test('are taken as they are where the size is right', async () => {
    const rgb = colourful(8, 8);
    const { data } = await fitPixels({ width: 8, height: 8, rgb }, inputOf({}));
    assert.is(data, rgb);
  });

  test('are scaled as a decoded file is', async () => {
    const rgb = colourful(20, 10);
    const raw = { raw: { width: 20, height: 10, channels: 3 as const } };
    const png = await sharp(rgb, raw).png().toBuffer();
    for (const changes of [{}, { channels: 1 }, { resize: 'contain' }, { width: 5 }] as const) {
      const input = inputOf(changes);
      const fitted = await fitPixels({ width: 20, height: 10, rgb }, input);
      const decoded = await decodePicture(png, input, DEFAULT_CNN_LIMITS);
      assert.equal([...fitted.data], [...decoded.data], JSON.stringify(changes));
    }
  });

  test('are refused where there are more or fewer than the size says', async () => {
    for (const [width, height, bytes] of [
      [8, 8, 191],
      [8, 8, 193],
      [0, 8, 0],
    ] as const) {
      const rgb = new Uint8Array(bytes);
      await rejects(fitPixels({ width, height, rgb }, inputOf({})), FractoryError, {
        code: status.INVALID_ARGUMENT,
        reason: 'BROKEN_IMAGE',
      });
    }
  });
});

function toTensor(pixels: Uint8Array, input: PixelInput): Float32Array {
  const writer = new PixelWriter(input);
  const tensor = new Float32Array(writer.length);
  writer.write(pixels, tensor);
  return tensor;
}

suite('pixels as a tensor', (test) => {
  const mean = [0.1, 0.2, 0.3];
  const std = [0.5, 0.25, 2];

  test('each value is (byte / scale - mean) / std, in every layout and order', () => {
    for (const layout of ['NCHW', 'NHWC'] as const)
      for (const colorOrder of ['RGB', 'BGR'] as const) {
        const input = inputOf({ layout, colorOrder, mean, std, width: 5, height: 3 });
        const pixels = colourful(5, 3);
        const tensor = toTensor(pixels, input);
        for (let pixel = 0; pixel < 15; pixel++)
          for (let channel = 0; channel < 3; channel++) {
            const byte = pixels[pixel * 3 + (colorOrder === 'RGB' ? channel : 2 - channel)] ?? 0;
            const expected = (byte / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
            const at = layout === 'NCHW' ? channel * 15 + pixel : pixel * 3 + channel;
            assert.ok(Math.abs((tensor[at] ?? Number.NaN) - expected) < 1e-5);
          }
      }
  });

  test('pictures of a batch stand one after the other', () => {
    const input = inputOf({ width: 4, height: 4 });
    const writer = new PixelWriter(input);
    const batch = new Float32Array(2 * writer.length);
    const [one, other] = [colourful(4, 4), colourful(4, 4).reverse()];
    writer.write(one, batch);
    writer.write(other, batch, writer.length);
    assert.equal([...batch], [...toTensor(one, input), ...toTensor(other, input)]);
    assert.equal(shapeOf(input, 2), [2, 3, 4, 4]);
  });
});
