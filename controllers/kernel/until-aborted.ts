import { KeptResult } from '../../services/content.js';

/** The result, or the reason of the abort if that comes first: an operation that doesn't listen is not waited for. */
export async function untilAborted<T>(result: T | Promise<T>, signal: AbortSignal): Promise<T> {
  if (!(result instanceof Promise)) return result;
  let stopListening = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    stopListening = () => {
      signal.removeEventListener('abort', onAbort);
    };
  });
  try {
    return await Promise.race([result, aborted]);
  } catch (error) {
    discard(result);
    throw error;
  } finally {
    stopListening();
  }
}

/** A result that comes too late is given back. */
function discard(late: Promise<unknown>): void {
  late.then(
    (result) => {
      if (result instanceof KeptResult) void result.content[Symbol.asyncDispose]();
    },
    () => undefined,
  );
}
