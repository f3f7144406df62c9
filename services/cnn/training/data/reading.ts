import { FractoryError, limitExceeded } from '../../../../runtime/errors.js';
import type { ReadingOptions } from './data-set.js';
import { decodeSquare } from './decoding.js';
import { FileKeys, sha256Of, UNREADABLE } from './file-keys.js';
import { PixelStore, storeBytes } from './pixel-store.js';
import { placementOf, shortened } from './placement.js';
import { found } from './selection.js';
import type { ChosenPicture, FoundPicture } from './selection.js';
import type { PictureSource, SourceFile } from './source.js';
import { TaskQueue } from './task-queue.js';

/** Pictures that are decoded at a time: as many as sharp has threads. */
const DECODERS = 4;

export interface Stores {
  readonly training: PixelStore;
  readonly validation: readonly PixelStore[];
  /** Place among the files -> place in the stores of its side. */
  readonly slots: ReadonlyMap<number, number>;
}

/** Goes through a source twice: for hashes, then for pixels. */
export class Reading {
  readonly #source: PictureSource;
  readonly #options: ReadingOptions;
  #skipped = 0;
  #files = 0;

  constructor(source: PictureSource, options: ReadingOptions) {
    this.#source = source;
    this.#options = options;
  }

  get skipped(): number {
    return this.#skipped;
  }

  skip(name: string, reason: string): void {
    this.#skipped++;
    this.#options.onSkipped({ name: shortened(name), reason });
  }

  /** Every file that may be a picture, with the hash of its content. */
  async look(): Promise<FoundPicture[]> {
    const { limits, signal, onFile } = this.#options;
    const pictures: FoundPicture[] = [];
    const keys = new FileKeys();
    for await (const file of this.#source.files(signal)) {
      if (++this.#files > limits.max_training_pictures)
        throw limitExceeded(
          'max_training_pictures',
          `more than ${String(limits.max_training_pictures)}`,
          limits.max_training_pictures,
          { what: 'number of files of the data set' },
        );
      onFile(this.#files, 0);
      const key = keys.of(file);
      const placement = placementOf(file.path);
      const problem = file.problem ?? this.#sizeProblem(file);
      if (problem !== undefined) this.skip(file.path, problem);
      else if ('problem' in placement) this.skip(file.path, placement.problem);
      else {
        const sha256 = file.sha256 ?? (await this.#hashOf(file));
        if (sha256 === undefined) continue;
        pictures.push(found({ index: this.#files - 1, key, path: file.path, sha256 }, placement));
      }
    }
    return pictures;
  }

  storesFor(pictures: readonly ChosenPicture[]): Stores {
    const { limits, trainingSidePx } = this.#options;
    const slots = new Map<number, number>();
    const counts = { training: 0, validation: 0 };
    for (const { index, side } of pictures) slots.set(index, counts[side]++);
    const validationSidesPx = this.#options.validationSidesPx(counts.training);
    const bytes =
      storeBytes(counts.training, trainingSidePx) +
      validationSidesPx.reduce((sum, side) => sum + storeBytes(counts.validation, side), 0);
    if (bytes > limits.max_training_memory_bytes)
      throw limitExceeded('max_training_memory_bytes', bytes, limits.max_training_memory_bytes, {
        what: `memory for ${String(pictures.length)} decoded pictures in bytes (a sample limit makes it less)`,
      });
    return {
      slots,
      training: PixelStore.create(counts.training, trainingSidePx),
      validation: validationSidesPx.map((side) => PixelStore.create(counts.validation, side)),
    };
  }

  /** Decodes what was chosen into the stores; yields those that could be decoded, in the order given. */
  async decode(pictures: readonly ChosenPicture[], stores: Stores): Promise<ChosenPicture[]> {
    const { signal, onFile } = this.#options;
    const chosen = new Map(pictures.map((picture) => [picture.key, picture]));
    const keys = new FileKeys();
    const good = new Set<ChosenPicture>();
    await using queue = new TaskQueue(DECODERS);
    let index = 0;
    for await (const file of this.#source.files(signal)) {
      const picture = chosen.get(keys.of(file));
      onFile(Math.min(++index, this.#files), this.#files);
      if (!picture) continue;
      const content = file.read();
      // It is looked at when its turn comes.
      content.catch(() => undefined);
      await queue.add(async () => {
        if (await this.#decodeOne(picture, content, stores)) good.add(picture);
      });
    }
    await queue.drained();
    return pictures.filter((picture) => good.has(picture));
  }

  async #decodeOne(
    { index, path, side, sha256 }: ChosenPicture,
    content: Promise<Uint8Array>,
    stores: Stores,
  ): Promise<boolean> {
    const slot = stores.slots.get(index) ?? 0;
    const bytes = await this.#unlessUnreadable(path, content, UNREADABLE);
    if (!bytes) return false;
    if (sha256Of(bytes) !== sha256) {
      this.skip(path, 'has changed while it was read');
      return false;
    }
    for (const store of side === 'training' ? [stores.training] : stores.validation) {
      const decoded = decodeSquare(bytes, store.sidePx, this.#options.limits);
      const pixels = await this.#unlessUnreadable(path, decoded, UNDECODABLE);
      if (!pixels) return false;
      store.picture(slot).set(pixels);
    }
    return true;
  }

  async #hashOf(file: SourceFile): Promise<string | undefined> {
    const bytes = await this.#unlessUnreadable(file.path, file.read(), UNREADABLE);
    return bytes && sha256Of(bytes);
  }

  /** What is wrong with one file ends with it: it is skipped. What is wrong with the source, or with us, goes on. */
  async #unlessUnreadable<T>(
    path: string,
    work: Promise<T>,
    reasons: ReadonlySet<string>,
  ): Promise<T | undefined> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof FractoryError) || !reasons.has(error.reason)) throw error;
      this.skip(path, error.message);
      return undefined;
    }
  }

  #sizeProblem({ sizeBytes }: SourceFile): string | undefined {
    const { max_image_bytes: most } = this.#options.limits;
    if (sizeBytes === 0) return 'has no bytes';
    if (sizeBytes <= most) return undefined;
    return `has ${String(sizeBytes)} bytes, the limit max_image_bytes is ${String(most)}`;
  }
}

const UNDECODABLE: ReadonlySet<string> = new Set([
  ...['UNSUPPORTED_IMAGE', 'BROKEN_IMAGE', 'IMAGE_TOO_LARGE', 'DEADLINE_EXCEEDED'],
]);
