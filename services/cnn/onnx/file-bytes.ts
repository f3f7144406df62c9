import type { FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Bytes read ahead: what stands side by side is read together, and what is skipped is never read. */
const WINDOW_BYTES = 64 * 1024;
/** A name that is longer is none. */
const MAX_TEXT_BYTES = 64 * 1024;
/** The largest graphs known have a tenth of it. */
const MAX_FIELDS = 4_000_000;
/** Fields that are read before others of this thread have their turn: what stands in the window waits for no disk. */
const FIELDS_A_TURN = 2000;

/** A protobuf message that isn't one. */
export class BadMessage extends Error {}

/** One field of a message: where its content stands, or its number. */
export interface Field {
  readonly number: number;
  /** 0 = varint, 1 = 8 bytes, 2 = with a length, 5 = 4 bytes. */
  readonly wireType: number;
  /** Of a varint; 0 for other wire types. */
  readonly value: number;
  readonly start: number;
  readonly end: number;
}

/** Walks through the protobuf messages of a file without holding it: contents that nobody asks for are skipped. Doesn't own the handle. */
export class FileBytes {
  readonly #handle: FileHandle;
  readonly size: number;
  #window: Uint8Array = new Uint8Array();
  #windowStart = 0;
  #fields = 0;

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  /** The fields of the message between two offsets, in the order of the file. Throws `BadMessage` where they don't fill it exactly. */
  async *fields(start: number, end: number): AsyncGenerator<Field, void, undefined> {
    let at = start;
    while (at < end) {
      if (++this.#fields > MAX_FIELDS) throw new BadMessage('it has too many parts');
      if (this.#fields % FIELDS_A_TURN === 0) await nextTurn();
      const field = await this.#field(at, end);
      yield field;
      at = field.end;
    }
  }

  /** The bytes between two offsets. */
  async read(start: number, end: number): Promise<Uint8Array> {
    if (!this.#holds(start, end)) {
      const length = Math.min(Math.max(end - start, WINDOW_BYTES), this.size - start);
      const buffer = new Uint8Array(length);
      const { bytesRead } = await this.#handle.read(buffer, 0, length, start);
      this.#window = buffer.subarray(0, bytesRead);
      this.#windowStart = start;
    }
    if (!this.#holds(start, end)) throw new BadMessage('it ends too early');
    return this.#window.subarray(start - this.#windowStart, end - this.#windowStart);
  }

  /** The text of a field. */
  async text({ start, end }: Field): Promise<string> {
    if (end - start > MAX_TEXT_BYTES) throw new BadMessage('one of its names is too long');
    return new TextDecoder().decode(await this.read(start, end));
  }

  #holds(start: number, end: number): boolean {
    return start >= this.#windowStart && end <= this.#windowStart + this.#window.length;
  }

  async #field(at: number, end: number): Promise<Field> {
    const tag = await this.#varint(at, end);
    const number = Math.floor(tag.value / 8);
    const wireType = tag.value % 8;
    if (number === 0 || number > 2 ** 29) throw new BadMessage('it is no protobuf message');
    switch (wireType) {
      case 0: {
        const varint = await this.#varint(tag.end, end);
        return { number, wireType, value: varint.value, start: tag.end, end: varint.end };
      }
      case 1:
        return within({ number, wireType, value: 0, start: tag.end, end: tag.end + 8 }, end);
      case 2: {
        const length = await this.#varint(tag.end, end);
        const start = length.end;
        return within({ number, wireType, value: 0, start, end: start + length.value }, end);
      }
      case 5:
        return within({ number, wireType, value: 0, start: tag.end, end: tag.end + 4 }, end);
      default:
        throw new BadMessage('it is no protobuf message');
    }
  }

  /** Numbers above 2^53 come out rounded: nothing that is read here is that large. */
  async #varint(at: number, end: number): Promise<{ value: number; end: number }> {
    const bytes = await this.read(at, Math.min(at + 10, end));
    let value = 0;
    for (const [index, byte] of bytes.entries()) {
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return { value, end: at + index + 1 };
    }
    throw new BadMessage(bytes.length < 10 ? 'it ends too early' : 'it is no protobuf message');
  }
}

function within(field: Field, end: number): Field {
  if (field.end > end) throw new BadMessage('it ends too early');
  return field;
}
