import { suite as uvuSuite } from 'uvu';
import * as assert from 'uvu/assert';

export { assert };

/** Longest time one test may take, ms, unless it says otherwise. */
const DEFAULT_TIMEOUT_MS = 10_000;

export interface TestOptions {
  /** Default 10,000. */
  readonly timeoutMs?: number;
  /** Why the test can't run here; it is counted as skipped. */
  readonly skip?: string | false | undefined;
}

/** Declares a test: `name` is a claim in the present tense. */
export type Test = (
  name: string,
  body: (context: { signal: AbortSignal }) => Promise<void> | void,
  options?: TestOptions,
) => void;

/**
 * A set of tests about one subject. Runs itself, gives every test a timeout, and can't be empty. There are no hooks: fixtures
 * are built in the test with `await using`.
 */
export function suite(subject: string, define: (test: Test) => void): void {
  const tests = uvuSuite(subject);
  let defined = 0;
  define((name, body, options = {}) => {
    defined++;
    if (options.skip) {
      console.log(`  skipped: ${subject}: ${name} (${options.skip})`);
      tests.skip(name, () => undefined);
    } else tests(name, () => bounded(name, body, options.timeoutMs ?? DEFAULT_TIMEOUT_MS));
  });
  if (defined === 0) throw new Error(`suite ${subject} has no test`);
  tests.run();
}

async function bounded(name: string, body: Parameters<Test>[1], timeoutMs: number): Promise<void> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`test took longer than ${String(timeoutMs)} ms: ${name}`);
      controller.abort(error);
      reject(error);
    }, timeoutMs);
  });
  try {
    await Promise.race([Promise.resolve(body({ signal: controller.signal })), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asserts that `promise` rejects with an instance of `type` for which `check` holds, and returns the error. */
export async function rejects<E extends Error>(
  promise: Promise<unknown>,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any constructor will do
  type: abstract new (...args: any[]) => E,
  expected: Partial<E> = {},
): Promise<E> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return expectError(error, type, expected);
  }
  assert.unreachable(
    `expected a rejection with ${type.name}, but it resolved with ${String(value)}`,
  );
  throw new Error('unreachable');
}

/** Asserts that `body` throws an instance of `type` with these fields, and returns the error. */
export function throws<E extends Error>(
  body: () => unknown,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any constructor will do
  type: abstract new (...args: any[]) => E,
  expected: Partial<E> = {},
): E {
  let value: unknown;
  try {
    value = body();
  } catch (error) {
    return expectError(error, type, expected);
  }
  assert.unreachable(`expected ${type.name} to be thrown, got ${String(value)}`);
  throw new Error('unreachable');
}

function expectError<E extends Error>(
  error: unknown,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any constructor will do
  type: abstract new (...args: any[]) => E,
  expected: Partial<E>,
): E {
  if (!(error instanceof type)) throw error;
  for (const [key, value] of Object.entries(expected))
    assert.equal(error[key as keyof E], value, `${key} of: ${error.message}`);
  return error;
}
