import type { Logger } from '../../runtime/logger.js';
import { KeptResult } from '../../services/content.js';

/** The result, or the reason of the abort if that comes first: an operation that doesn't listen is not waited for. */
export async function untilAborted<T>(
  result: T | Promise<T>,
  signal: AbortSignal,
  log: Logger,
): Promise<T> {
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
    discard(result, log);
    throw error;
  } finally {
    stopListening();
  }
}

/** A result that comes too late is given back. */
function discard(late: Promise<unknown>, log: Logger): void {
  const given = late.then(
    async (result) => {
      if (result instanceof KeptResult) await result.content[Symbol.asyncDispose]();
    },
    // What an aborted operation fails with was told as the reason of the abort.
    () => undefined,
  );
  given.catch((error: unknown) => {
    log.warn({ err: error }, 'disposing of a result that came too late failed');
  });
}
