import { createHash } from 'node:crypto';

import sharp from 'sharp';

import type { PictureSource, SourceFile } from '../../../../services/cnn/training/data/source.js';
import type { TrainingLimits } from '../../../../services/cnn/training/limits.js';
import { DEFAULT_TRAINING_LIMITS } from '../../../../services/cnn/training/limits.js';
import { DEFAULT_CNN_LIMITS } from '../../../../services/cnn/limits.js';

export const LIMITS: TrainingLimits = {
  ...DEFAULT_TRAINING_LIMITS,
  max_image_bytes: DEFAULT_CNN_LIMITS.max_image_bytes,
  max_image_pixels: DEFAULT_CNN_LIMITS.max_image_pixels,
  max_compute_ms: DEFAULT_CNN_LIMITS.max_compute_ms,
  training_threads: 1,
};

/** A file of training data in memory. */
export interface MadeFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly problem?: string;
}

/** A plain picture that no other has: `number` goes into its lowest bits. */
export async function plainPicture(
  colour: readonly [number, number, number],
  number: number,
): Promise<Buffer> {
  const pixels = Buffer.alloc(16 * 16 * 3);
  for (let at = 0; at < pixels.length; at++) pixels[at] = colour[at % 3]!;
  pixels.writeUInt32LE(number);
  return sharp(pixels, { raw: { width: 16, height: 16, channels: 3 } })
    .png()
    .toBuffer();
}

/** Reddish and bluish pictures: what the colour engine can tell apart. */
export async function colourPictures(perClass: number, root = ''): Promise<MadeFile[]> {
  const files: MadeFile[] = [];
  for (let number = 0; number < perClass; number++) {
    const light = 40 + ((number * 37) % 80);
    const red = await plainPicture([light + 90, light, light], number);
    const blue = await plainPicture([light, light, light + 90], number + 100_000);
    files.push({ path: `${root}red/${String(number)}.png`, bytes: red });
    files.push({ path: `${root}blue/${String(number)}.png`, bytes: blue });
  }
  return files;
}

/** Files as a source; `knowsHashes` as storage does. */
export function sourceOf(files: readonly MadeFile[], knowsHashes = false): PictureSource {
  return {
    async *files(): AsyncGenerator<SourceFile, void> {
      for (const { path, bytes, problem } of files) {
        await Promise.resolve();
        yield {
          ...{ path, sizeBytes: bytes.length, read: () => Promise.resolve(bytes) },
          ...(problem === undefined ? {} : { problem }),
          ...(knowsHashes ? { sha256: createHash('sha256').update(bytes).digest('hex') } : {}),
        };
      }
    },
  };
}
