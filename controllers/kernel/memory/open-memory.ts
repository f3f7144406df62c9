import { status } from '@grpc/grpc-js';

import { AbortScope } from '../../../runtime/abort-scope.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { ContentRange, ReadContentOptions } from '../../../services/content.js';
import { denied } from '../capabilities/caveats.js';
import type { KeptContent } from './kept-content.js';

/** What one capability shows of a memory. */
export interface View {
  readonly kept: KeptContent;
  /** In the content. */
  readonly range: ContentRange;
  /** Throws as soon as the capability is useless. */
  readonly check: () => void;
}

/** A memory of this node opened for one transfer. */
export interface OpenMemory {
  /** Bytes that the transfer reaches. */
  readonly sizeBytes: number;
  /** Throws as soon as the capability is useless: call it before each chunk leaves or is written. */
  check(): void;
}

export interface OpenRead extends OpenMemory {
  /** The bytes, checked chunk by chunk. Once only. Ends early with the reason of `signal` or of what made the capability useless. */
  chunks(
    chunkBytes: number,
    signal: AbortSignal,
    lend?: ReadContentOptions['lend'],
  ): AsyncGenerator<Uint8Array, void>;
}

export interface OpenWrite extends OpenMemory {
  /** Writes behind what was written before; OUT_OF_RANGE, with nothing written, past the end. `data` may be reused once the promise has settled. */
  write(data: Uint8Array): Promise<void> | void;
}

/** A length of 0 means all the rest, unless the range is `exact`. */
export function openRead(
  view: View,
  { offset, length }: ContentRange,
  { exact = false }: { readonly exact?: boolean },
): OpenRead {
  const rest = Math.max(view.range.length - offset, 0);
  const range = within(view.range, { offset, length: length === 0 && !exact ? rest : length });
  return {
    ...{ sizeBytes: range.length, check: view.check },
    chunks: (chunkBytes, signal, lend) =>
      chunksOf({ ...view, range }, { chunkBytes, lend, signal }),
  };
}

export function openWrite({ kept, range, check }: View, offset: number): OpenWrite {
  const inner = within(range, { offset, length: Math.max(range.length - offset, 0) });
  let written = 0;
  return {
    ...{ sizeBytes: inner.length, check },
    write: (data) => {
      check();
      if (!kept.content.write) throw denied('the memory can not be written');
      if (data.length > inner.length - written)
        throw outOfBounds(offset + written, data.length, range.length);
      const at = inner.offset + written;
      written += data.length;
      const writing = kept.content.write(at, data);
      // What is being written to is not disposed of.
      return writing?.finally(kept.hold(() => undefined));
    },
  };
}

/** Content is held only while a chunk is read: a reader that has stopped to read keeps nothing alive. */
async function* chunksOf(
  { kept, range, check }: View,
  { chunkBytes, lend, signal }: ReadContentOptions,
): AsyncGenerator<Uint8Array, void> {
  check();
  const scope = new AbortScope(signal);
  const content = kept.content.read(range, { chunkBytes, lend, signal: scope.signal });
  const chunks = content[Symbol.asyncIterator]();
  const next = async (): Promise<IteratorResult<Uint8Array, unknown>> => {
    check();
    const letGo = kept.hold(() => {
      scope.abort(freed());
    });
    try {
      return await chunks.next();
    } finally {
      letGo();
    }
  };
  try {
    for (let result = await next(); !result.done; result = await next()) {
      check();
      yield result.value;
    }
  } finally {
    scope.end();
    await chunks.return?.();
  }
}

/** A range within another, in the outer's own coordinates. OUT_OF_RANGE where it does not lie within. */
export function within(view: ContentRange, { offset, length }: ContentRange): ContentRange {
  if (offset + length > view.length) throw outOfBounds(offset, length, view.length);
  return { offset: view.offset + offset, length };
}

function outOfBounds(offset: number, length: number, sizeBytes: number): FractoryError {
  return new FractoryError(
    status.OUT_OF_RANGE,
    'OUT_OF_BOUNDS',
    `bytes ${String(offset)} to ${String(offset + length)} are not within the memory, which has ${String(sizeBytes)}`,
  );
}

function freed(): FractoryError {
  return new FractoryError(
    status.PERMISSION_DENIED,
    'CAPABILITY_REVOKED',
    'the memory was revoked or freed while it was read',
  );
}
