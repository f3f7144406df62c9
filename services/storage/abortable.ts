import { cancelled } from '../../runtime/errors.js';

/** Content as it comes: in chunks of any size. */
export type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** The same items; throws the reason of `signal` as soon as it aborts, also while the source is silent. */
export async function* abortable<T>(
  source: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void> {
  if (!signal) {
    yield* source;
    return;
  }
  signal.throwIfAborted();
  const iterator = iteratorOf(source);
  let ended = false;
  try {
    for (;;) {
      const next = await unlessAborted(() => iterator.next(), signal);
      ended = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // A silent source would keep us waiting for its end: it is told, not waited for.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/**
 * The promise of `start`, or the reason of `signal` if that comes first. A promise and a listener of its own for each call: a race against
 * one promise that lives as long as the signal would keep the results of all calls, that is, the whole file.
 */
function unlessAborted<T>(start: () => Promise<T> | T, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : cancelled());
    };
    if (signal.aborted) {
      fail();
      return;
    }
    signal.addEventListener('abort', fail, { once: true });
    Promise.resolve(start())
      .then(resolve, reject)
      .finally(() => {
        signal.removeEventListener('abort', fail);
      });
  });
}

function iteratorOf<T>(source: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in source
    ? source[Symbol.asyncIterator]()
    : source[Symbol.iterator]();
}
