import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { sleep } from '../../runtime/deadline.js';
import { systemCodeOf, unavailable } from '../../runtime/errors.js';
import type { Owner } from './owner.js';

const FREE = 'free';
const HELD = 'held';
/** A lock of another machine, whose processes can't be seen, counts as abandoned after this. */
const FOREIGN_LIFETIME_MS = 300_000;
const POLL_MS = 4;

/**
 * Locks between processes. A lock is a folder that holds one empty file, the token, and the token's *name* is the state: `free`
 * or `held~OWNER~RANDOM`. To take, give back and break a lock is one `rename` each. The name of each holding is used once, so
 * a rename succeeds for one of several rivals and can't hit a later holding: breaking the lock of a dead process is as safe as taking a
 * free one.
 */
export class Locks {
  readonly #owner: Owner;
  readonly #timeoutMs: number;
  readonly #foreignLifetimeMs: number;
  /** Those of this process wait in line here instead of polling. */
  readonly #lines = new Map<string, Promise<void>>();

  /** `foreignLifetimeMs`: when a lock of another machine counts as abandoned; Infinity = never. */
  constructor(owner: Owner, timeoutMs: number, foreignLifetimeMs = FOREIGN_LIFETIME_MS) {
    this.#owner = owner;
    this.#timeoutMs = timeoutMs;
    this.#foreignLifetimeMs = foreignLifetimeMs;
  }

  /** Runs `work` while holding the lock in `folder`; its parent must exist. UNAVAILABLE (FILE_BUSY) past the time limit. */
  async hold<T>(folder: string, work: () => Promise<T>): Promise<T> {
    const before = this.#lines.get(folder) ?? Promise.resolve();
    const { promise, resolve } = withResolvers();
    const line = before.then(() => promise);
    this.#lines.set(folder, line);
    await before;
    try {
      const token = await this.#take(folder);
      try {
        return await work();
      } finally {
        await rename(token, path.join(folder, FREE));
      }
    } finally {
      resolve();
      if (this.#lines.get(folder) === line) this.#lines.delete(folder);
    }
  }

  async #take(folder: string): Promise<string> {
    const mine = path.join(folder, this.#owner.newName(HELD));
    const untilMs = performance.now() + this.#timeoutMs;
    for (;;) {
      if (await renamed(path.join(folder, FREE), mine)) return mine;
      const token = await tokenOf(folder);
      if (token === undefined) await this.#create(folder);
      else if (token !== FREE && (await this.#isAbandoned(folder, token))) {
        if (await renamed(path.join(folder, token), mine)) return mine;
      } else if (token !== FREE) await this.#wait(folder, untilMs);
    }
  }

  async #wait(folder: string, untilMs: number): Promise<void> {
    if (performance.now() > untilMs)
      throw unavailable(
        'FILE_BUSY',
        `another process holds lock ${path.basename(folder)} for more than ${String(this.#timeoutMs)} ms`,
      );
    await sleep(POLL_MS * (0.5 + Math.random()));
  }

  async #isAbandoned(folder: string, token: string): Promise<boolean> {
    const life = await this.#owner.lifeOf(token);
    if (life !== 'unknown') return life === 'gone';
    // Given back meanwhile, or not to be looked at: then it is waited for, and whoever waits in vain hears of it.
    const taken = await stat(path.join(folder, token)).catch(() => undefined);
    return taken !== undefined && Date.now() - taken.ctimeMs > this.#foreignLifetimeMs;
  }

  /** A folder can be renamed onto another only if that one is empty: of several rivals one brings its token in. */
  async #create(folder: string): Promise<void> {
    const made = path.join(path.dirname(folder), this.#owner.newName('new'));
    await mkdir(made);
    await writeFile(path.join(made, FREE), '');
    try {
      await rename(made, folder);
    } catch (error) {
      await rm(made, { recursive: true });
      if (!['ENOTEMPTY', 'EEXIST'].includes(systemCodeOf(error) ?? '')) throw error;
    }
  }
}

async function tokenOf(folder: string): Promise<string | undefined> {
  try {
    return (await readdir(folder)).find((name) => name === FREE || name.startsWith(HELD));
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** False if there is no `from`. */
async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
