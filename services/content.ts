import type { Value } from '../protos/gen/fractory/v1/value.js';

/**
 * Bytes that stay where they are until somebody asks for them: a buffer, a file, a range of blocks. Owned by whoever holds it, who disposes of
 * it once; after that no read or write succeeds.
 */
export interface Content extends AsyncDisposable {
  readonly sizeBytes: number;
  /** Where it is known without reading: 32 bytes. */
  readonly sha256?: Uint8Array;
  /**
   * Part of the content in chunks of at most `chunkBytes`, each the reader's own. The range lies within the content: callers check. Nothing is read
   * ahead of the reader by more than a chunk.
   */
  read(range: ContentRange, options: ReadContentOptions): AsyncIterable<Uint8Array>;
  /** Absent: it can't be written. `data` lies within the content and may be reused once the promise has settled. */
  write?(offset: number, data: Uint8Array): Promise<void> | void;
}

export interface ContentRange {
  /** Bytes from the beginning. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export interface ReadContentOptions {
  readonly chunkBytes: number;
  /**
   * Lends memory of at most `chunkBytes` for a chunk, to content that has to put it somewhere. The reader takes it back when it has done with the chunk;
   * nothing may be written to it once the chunk was handed out. Default: fresh memory.
   */
  readonly lend?: ((length: number) => Uint8Array) | undefined;
  readonly signal: AbortSignal;
}

/**
 * A result that is not in memory: its content is kept for the run and read by whoever needs it. The controller owns the content from the moment
 * that the operation yields it. Content up to the inline limit is read at once and travels as an ordinary value.
 */
export class KeptResult {
  readonly content: Content;
  /** The value without its data: kind, media type, datatype and shape. */
  readonly form: Value;

  constructor(content: Content, form: Value) {
    this.content = content;
    this.form = form;
  }
}
