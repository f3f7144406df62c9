/** What is kept of a slab keeps all of it. */
const SLAB_BYTES = 512;
/** More have a buffer of their own. */
const MOST_BYTES = 128;

/**
 * Few bytes at a time, of which several share a buffer: one of its own is a quarter of a kilobyte of objects, which a collection of garbage moves in one turn of the event loop, ten
 * thousand times where so many members join.
 */
export class ByteSlabs {
  #buffer = new ArrayBuffer(SLAB_BYTES);
  #used = 0;

  /** All zero. */
  take(length: number): Uint8Array {
    if (length > MOST_BYTES) return new Uint8Array(length);
    if (this.#used + length > SLAB_BYTES) {
      this.#buffer = new ArrayBuffer(SLAB_BYTES);
      this.#used = 0;
    }
    const taken = new Uint8Array(this.#buffer, this.#used, length);
    this.#used += length;
    return taken;
  }
}
