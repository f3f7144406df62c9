import { status } from '@grpc/grpc-js';
import sharp from 'sharp';
import type { Metadata, Sharp } from 'sharp';

import {
  deadlineExceeded,
  FractoryError,
  invalidArgument,
  messageOf,
} from '../../../runtime/errors.js';
import type { Card } from '../card.js';
import type { CnnLimits } from '../limits.js';

const RGB_BYTES = 3;
const WHITE = '#ffffff';

/** Formats by the bytes that their files start with. Everything else, SVG among it, never reaches a decoder. */
const SIGNATURES: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['JPEG', /^\xff\xd8\xff/],
  ['PNG', /^\x89PNG\r\n[^]\n/],
  ['GIF', /^GIF8[79]a/],
  ['WebP', /^RIFF[^]{4}WEBP/],
  ['TIFF', /^(II[*+]\0|MM\0[*+])/],
  ['AVIF', /^[^]{4}ftyp(avif|avis|mif1|msf1)/],
];

// Each picture is seen once: what libvips would keep is only memory.
sharp.cache(false);
sharp.concurrency(1);

/** The limits that concern pictures. */
export type PictureLimits = Pick<
  CnnLimits,
  'max_image_bytes' | 'max_image_pixels' | 'max_compute_ms'
>;

/** A picture as the input of a model: bytes, rows of pixels of interleaved channels (RGB or grey). */
export interface Pixels {
  readonly data: Uint8Array;
}

/**
 * Decodes a picture and scales it as the card says: the first page, turned as its EXIF data say, on white where it is transparent, in sRGB.
 * Runs in sharp's threads. Throws UNSUPPORTED_IMAGE, BROKEN_IMAGE, IMAGE_TOO_LARGE.
 */
export async function decodePicture(
  image: Uint8Array,
  input: Card['input'],
  limits: PictureLimits,
): Promise<Pixels> {
  checkBytes(image, limits.max_image_bytes);
  const metadata = await orBroken(() => open(image).metadata());
  checkPixels(metadata, limits.max_image_pixels);
  return scaled(
    open(image, limits.max_image_pixels)
      .timeout({ seconds: Math.ceil(limits.max_compute_ms / 1000) })
      .rotate(),
    input,
    metadata.hasAlpha,
  );
}

/** Rows of pixels, top first, three bytes each: red, green, blue. */
export interface RawPicture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/**
 * Pixels as a model takes them: the same memory where the size is right already, or else scaled as `decodePicture` does. Throws BROKEN_IMAGE where the bytes
 * are not those of the size.
 */
export async function fitPixels(picture: RawPicture, input: Card['input']): Promise<Pixels> {
  const { width, height, rgb } = picture;
  const bytes = width * height * RGB_BYTES;
  if (bytes === 0 || rgb.length !== bytes)
    throw broken(
      `${String(width)}x${String(height)} pixels of three bytes are ${String(bytes)}, found ${String(rgb.length)}`,
    );
  if (width === input.width && height === input.height && input.channels === RGB_BYTES)
    return { data: rgb };
  return scaled(sharp(rgb, { raw: { width, height, channels: RGB_BYTES } }), input, false);
}

async function scaled(picture: Sharp, input: Card['input'], hasAlpha: boolean): Promise<Pixels> {
  const { width, height, channels, resize: fit } = input;
  const { data, info } = await orBroken(() => {
    const resized = picture.resize(width, height, { fit, background: WHITE });
    return inColours(hasAlpha ? resized.flatten({ background: WHITE }) : resized, channels)
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
  });
  if (data.length !== width * height * channels)
    throw broken(`it has ${String(info.channels)} channels, the model takes ${String(channels)}`);
  return { data };
}

/** What the header of a picture's file says. */
export interface PictureHeader {
  /** Lower case, such as `png`. */
  readonly format: string;
  /** Pixels, as stored: before any turn that the EXIF data ask for. */
  readonly width: number;
  readonly height: number;
}

/** Reads the header only: nothing is decoded, so the time doesn't grow with the file. Throws as `decodePicture` does. */
export async function readPictureHeader(
  image: Uint8Array,
  limits: PictureLimits,
): Promise<PictureHeader> {
  checkBytes(image, limits.max_image_bytes);
  const metadata = await orBroken(() => open(image).metadata());
  checkPixels(metadata, limits.max_image_pixels);
  const { format, width, height } = metadata;
  return { format, width, height };
}

function checkBytes(image: Uint8Array, maxBytes: number): void {
  if (image.length === 0) throw broken('it has no bytes');
  if (image.length > maxBytes)
    throw tooLarge(`has ${String(image.length)} bytes`, 'max_image_bytes', maxBytes);
  const head = Buffer.from(image.subarray(0, 16)).toString('latin1');
  if (SIGNATURES.some(([, pattern]) => pattern.test(head))) return;
  const names = SIGNATURES.map(([name]) => name).join(', ');
  throw invalidArgument('image', `is none of ${names}`, 'UNSUPPORTED_IMAGE');
}

function checkPixels({ width, height }: Metadata, maxPixels: number): void {
  if (width * height > maxPixels)
    throw tooLarge(
      `has ${String(width)}x${String(height)} = ${String(width * height)} pixels`,
      'max_image_pixels',
      maxPixels,
    );
}

function open(image: Uint8Array, limitInputPixels: number | false = false): Sharp {
  return sharp(image, { failOn: 'error', limitInputPixels });
}

function inColours(picture: Sharp, channels: 1 | 3): Sharp {
  return channels === 1 ? picture.greyscale().toColourspace('b-w') : picture.toColourspace('srgb');
}

async function orBroken<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (messageOf(error).startsWith('timeout'))
      throw deadlineExceeded('the picture took longer to decode than the limit max_compute_ms');
    // The library's own text may be about another picture: its threads share it.
    throw broken('its file is broken or ends too early', error);
  }
}

function broken(problem: string, cause?: unknown): FractoryError {
  return new FractoryError(
    status.INVALID_ARGUMENT,
    'BROKEN_IMAGE',
    `the picture can't be decoded: ${problem}`,
    { cause, violations: [{ field: 'image', description: problem }] },
  );
}

function tooLarge(fact: string, limit: string, allowed: number): FractoryError {
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'IMAGE_TOO_LARGE',
    `the picture ${fact}, the limit ${limit} is ${String(allowed)}`,
    { metadata: { limit, allowed: String(allowed) } },
  );
}
