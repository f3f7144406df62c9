/** Buffers that are kept for the next chunk; more than that many transfers at once make new ones. */
const MAX_FREE = 8;

/**
 * Memory for chunks on their way from a disk to a socket, used again and again: a fresh half mebibyte for each would have V8 collect its whole heap
 * every few dozen chunks. A buffer that is not given back, because its transfer broke, is garbage; it is never lent twice at a time.
 */
export class ChunkBuffers {
  readonly #bytes: number;
  readonly #free: Buffer[] = [];
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** `bytes` = largest chunk. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  get free(): number {
    return this.#free.length;
  }

  readonly lend = (length: number): Uint8Array => {
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
    this.#lent.add(buffer.buffer);
    return buffer.subarray(0, length);
  };

  /** Nobody reads or writes the chunk any more. What was not lent from here is left alone. */
  giveBack(chunk: Uint8Array): void {
    if (!this.#lent.delete(chunk.buffer) || this.#free.length >= MAX_FREE) return;
    this.#free.push(Buffer.from(chunk.buffer));
  }
}
