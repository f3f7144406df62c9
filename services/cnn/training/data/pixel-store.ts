/** Longest piece of shared memory, bytes: typed arrays of several GiB don't exist everywhere. */
const CHUNK_BYTES = 256 * 1024 ** 2;

/** Memory of a store, as it is sent to threads. */
export interface PixelStoreMemory {
  readonly sidePx: number;
  readonly count: number;
  readonly chunks: readonly SharedArrayBuffer[];
}

/** Decoded square pictures, RGB, a byte each, in memory that threads share. */
export class PixelStore {
  readonly memory: PixelStoreMemory;
  readonly #bytes: number;
  readonly #perChunk: number;

  constructor(memory: PixelStoreMemory) {
    this.memory = memory;
    this.#bytes = bytesOf(memory.sidePx);
    this.#perChunk = perChunkOf(memory.sidePx);
  }

  /** Room for `count` pictures. */
  static create(count: number, sidePx: number): PixelStore {
    const perChunk = perChunkOf(sidePx);
    const chunks: SharedArrayBuffer[] = [];
    for (let left = count; left > 0; left -= perChunk)
      chunks.push(new SharedArrayBuffer(Math.min(left, perChunk) * bytesOf(sidePx)));
    return new PixelStore({ sidePx, count, chunks });
  }

  get count(): number {
    return this.memory.count;
  }

  get sidePx(): number {
    return this.memory.sidePx;
  }

  /** The pixels of a picture: rows, three bytes each. The memory itself, no copy. */
  picture(index: number): Uint8Array {
    const chunk = this.memory.chunks[Math.floor(index / this.#perChunk)];
    if (!chunk || index >= this.count) throw new RangeError(`no picture ${String(index)}`);
    return new Uint8Array(chunk, (index % this.#perChunk) * this.#bytes, this.#bytes);
  }
}

/** Memory that pictures take. */
export function storeBytes(count: number, sidePx: number): number {
  return count * bytesOf(sidePx);
}

function bytesOf(sidePx: number): number {
  return sidePx * sidePx * 3;
}

function perChunkOf(sidePx: number): number {
  return Math.max(1, Math.floor(CHUNK_BYTES / bytesOf(sidePx)));
}
