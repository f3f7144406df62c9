import { ByteSlabs } from '../wire/byte-slabs.js';
import type { RemoteMember } from '../wire/push-pull.js';
import { readMember, writeMember } from '../wire/push-pull.js';
import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';

const PIECE_BYTES = 64 * 1024;
/** A member that is longer has its piece grow. */
const LAST_BYTES = 512;

/**
 * Members as they travel, from when they were heard until all were: as objects, each collection of garbage meanwhile would have to move tens of thousands of them, in one turn of
 * the event loop.
 */
export class KeptMembers implements Iterable<RemoteMember> {
  #size = 0;
  readonly #pieces: Uint8Array[] = [];
  #last = new RawWriter(PIECE_BYTES);

  get size(): number {
    return this.#size;
  }

  add(member: RemoteMember): void {
    writeMember(this.#last, member);
    this.#size++;
    if (this.#last.length < PIECE_BYTES - LAST_BYTES) return;
    this.#pieces.push(this.#last.written);
    this.#last = new RawWriter(PIECE_BYTES);
  }

  *[Symbol.iterator](): Generator<RemoteMember> {
    const slabs = new ByteSlabs();
    for (const piece of [...this.#pieces, this.#last.written]) {
      const reader = new RawReader(piece, 0, slabs);
      while (reader.left > 0) yield readMember(reader);
    }
  }
}
