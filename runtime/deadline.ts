import { setTimeout as delay } from 'node:timers/promises';

import { AbortScope } from './abort-scope.js';
import { cancelled, deadlineExceeded } from './errors.js';

/** Waits, or throws CANCELLED as soon as `signal` aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw signal?.reason instanceof Error ? signal.reason : cancelled(String(error));
  }
}

/**
 * Runs `work` with a signal that aborts after `timeoutMs` (reason: DEADLINE_EXCEEDED) or when `parent` aborts.
 * The promise settles at the abort even where `work` ignores its signal.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  const scope = new AbortScope(...(parent ? [parent] : []));
  scope.endsBy(Date.now() + timeoutMs);
  const timer = setTimeout(() => {
    scope.abort(deadlineExceeded(`${what} took longer than ${String(timeoutMs)} ms`));
  }, timeoutMs);
  try {
    return await Promise.race([rejectOnAbort(scope.signal), work(scope.signal)]);
  } finally {
    clearTimeout(timer);
    scope.end();
  }
}

/** What `work` comes to, or the reason of `signal` as soon as that aborts; the work itself is not stopped by it. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return Promise.race([rejectOnAbort(signal), work]);
}

/** Whoever calls knows better why time is up than gRPC does: its cancel comes first. */
const AFTER_CALLER_MS = 20;

/** Options of a call in the course of work that ends with `signal`: the callee is told how long that is, `mostMs` at the most. */
export function callDeadline(signal: AbortSignal, mostMs: number): { readonly deadline: number } {
  const workMs = AbortScope.deadlineOf(signal) + AFTER_CALLER_MS;
  return { deadline: Math.min(Date.now() + mostMs, workMs) };
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : cancelled());
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}
