import { status } from '@grpc/grpc-js';

import type { Clock } from '../../runtime/clock.js';
import { FractoryError } from '../../runtime/errors.js';
import type { Card } from './card.js';
import type { CnnLimits } from './limits.js';
import type { PictureHere } from './picture.js';
import { decodePicture, fitPixels, readPictureHeader } from './pictures/picture.js';
import type { PictureHeader, Pixels } from './pictures/picture.js';
import { Slots } from './pictures/slots.js';

/** Pictures that are decoded at a time: as many as sharp has threads. */
const DECODERS = 4;

/** A picture as the input of a model, and what that took. */
export interface PreparedPicture extends Pixels {
  readonly queueUs: number;
  readonly decodeUs: number;
}

/** Makes pictures ready for models, a few at a time. */
export class PictureDesk {
  readonly #limits: CnnLimits;
  readonly #clock: Clock;
  readonly #decoders = new Slots(DECODERS);

  constructor(limits: CnnLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Errors: UNSUPPORTED_IMAGE, BROKEN_IMAGE, IMAGE_TOO_LARGE. */
  async prepare(
    picture: PictureHere,
    input: Card['input'],
    signal: AbortSignal | undefined,
  ): Promise<PreparedPicture> {
    const waitedFrom = this.#clock.monotonicMs();
    const work = async (): Promise<PreparedPicture> => {
      signal?.throwIfAborted();
      const startedMs = this.#clock.monotonicMs();
      const { data } = await this.#decode(picture, input);
      const decodeUs = Math.round((this.#clock.monotonicMs() - startedMs) * 1000);
      return { data, decodeUs, queueUs: Math.round((startedMs - waitedFrom) * 1000) };
    };
    // What is as the model takes it waits for no decoder.
    return fitsAlready(picture, input) ? work() : this.#decoders.use(work);
  }

  inspect(image: Uint8Array): Promise<PictureHeader> {
    return readPictureHeader(image, this.#limits);
  }

  #decode(picture: PictureHere, input: Card['input']): Promise<Pixels> {
    if (picture.kind === 'encoded') return decodePicture(picture.bytes, input, this.#limits);
    const { width, height } = picture;
    const { max_image_pixels: maxPixels } = this.#limits;
    if (width * height > maxPixels)
      throw new FractoryError(
        status.RESOURCE_EXHAUSTED,
        'IMAGE_TOO_LARGE',
        `the picture has ${String(width)}x${String(height)} pixels, the limit max_image_pixels is ${String(maxPixels)}`,
        { metadata: { limit: 'max_image_pixels', allowed: String(maxPixels) } },
      );
    return fitPixels(picture, input);
  }
}

function fitsAlready(picture: PictureHere, { width, height }: Card['input']): boolean {
  return picture.kind === 'pixels' && picture.width === width && picture.height === height;
}
