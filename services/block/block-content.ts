import type { Content, ContentRange, ReadContentOptions } from '../content.js';
import { deviceDamaged, extentFreed } from './failures.js';

/** Neighbouring bytes of the device. */
export interface ByteRun {
  readonly start: number;
  readonly length: number;
}

/** Reads and writes at places of a device. */
export interface BlockStore {
  readonly name: string;
  /** Fills `target` from `at` on; returns how much it got. */
  readAt(target: Uint8Array, at: number): Promise<number>;
  /** Writes all of `data`. */
  writeAt(data: Uint8Array, at: number): Promise<void>;
}

/**
 * Blocks of one or several extents, one after the other, as content. It ends once: when its owner disposes of it or one of the extents is freed; what
 * is under way then is waited for, and its bytes are not handed out.
 */
export class BlockContent implements Content {
  readonly sizeBytes: number;
  readonly #store: BlockStore;
  readonly #runs: readonly ByteRun[];
  /** Where each run begins in the content. */
  readonly #offsets: readonly number[];
  readonly #ended: () => void;
  #isClosed = false;
  #pending = 0;
  #idle: (() => void) | undefined;

  /** `runs` hold at least `sizeBytes`. `ended` is called once, when it is disposed of. */
  constructor(
    store: BlockStore,
    runs: readonly ByteRun[],
    sizeBytes: number,
    ended: () => void = () => undefined,
  ) {
    this.#store = store;
    this.#runs = runs;
    this.#ended = ended;
    this.sizeBytes = sizeBytes;
    let at = 0;
    this.#offsets = runs.map(({ length }) => {
      at += length;
      return at - length;
    });
  }

  async *read(
    { offset, length }: ContentRange,
    { chunkBytes, lend = allocate, signal }: ReadContentOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const end = offset + length;
    for (let at = offset; at < end;) {
      signal.throwIfAborted();
      const chunk = lend(Math.min(chunkBytes, end - at));
      await this.#use(() => this.#fill(chunk, at));
      at += chunk.length;
      yield chunk;
    }
  }

  write(offset: number, data: Uint8Array): Promise<void> {
    return this.#use(async () => {
      for (const { at, from, length } of this.#pieces(offset, data.length))
        await this.#store.writeAt(data.subarray(from, from + length), at);
    });
  }

  /** Nothing begins any more; resolves when what was under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#pending === 0) return;
    await new Promise<void>((resolve) => {
      const others = this.#idle;
      this.#idle = () => {
        others?.();
        resolve();
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    this.#ended();
  }

  async #use(work: () => Promise<void>): Promise<void> {
    if (this.#isClosed) throw extentFreed();
    this.#pending++;
    try {
      await work();
    } finally {
      if (--this.#pending === 0) this.#idle?.();
    }
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- it may have been closed meanwhile
    if (this.#isClosed) throw extentFreed();
  }

  async #fill(target: Uint8Array, offset: number): Promise<void> {
    for (const { at, from, length } of this.#pieces(offset, target.length))
      for (let got = 0; got < length;) {
        const part = target.subarray(from + got, from + length);
        const bytes = await this.#store.readAt(part, at + got);
        if (bytes === 0)
          throw deviceDamaged(this.#store.name, `it ends at byte ${String(at + got)}`);
        got += bytes;
      }
  }

  /** A range of the content as ranges of the device: `from` is where a piece begins in the range. */
  *#pieces(
    offset: number,
    length: number,
  ): Generator<{ at: number; from: number; length: number }> {
    let index = this.#runAt(offset);
    for (let from = 0; from < length; index++) {
      const run = this.#runs[index];
      if (!run) throw new Error(`byte ${String(offset + from)} is past the end of the content`);
      const skipped = offset + from - (this.#offsets[index] ?? 0);
      const piece = Math.min(run.length - skipped, length - from);
      yield { at: run.start + skipped, from, length: piece };
      from += piece;
    }
  }

  #runAt(offset: number): number {
    let low = 0;
    let high = this.#offsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#offsets[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

const allocate = (length: number): Uint8Array => Buffer.allocUnsafeSlow(length);
