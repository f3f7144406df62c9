import { randomBytes } from 'node:crypto';
import { open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { FractoryError, messageOf, systemCodeOf } from '../../runtime/errors.js';
import type { KeepKeys } from '../wire/keyring.js';
import { KEY_BYTES, MOST_KEYS } from '../wire/keyring.js';

/** Thousands of keys; more is something else. */
const MAX_FILE_BYTES = 256 * 1024;
const MOST = String(MOST_KEYS);

/**
 * Keys in a file as agents of Serf keep them (`-keyring-file`): a JSON array of base64, the one that encrypts first. Several processes may have the same file.
 */
export class KeyringFile {
  readonly path: string;

  constructor(file: string) {
    this.path = file;
  }

  /** Undefined where there is no such file. FAILED_PRECONDITION, reason BAD_KEYRING, says what is wrong with it, and nothing of what is in it. */
  async read(): Promise<readonly Buffer[] | undefined> {
    const text = await this.#text();
    return text === undefined ? undefined : this.#keysIn(text);
  }

  /**
   * Keeps keys as a Keyring changes them: those of another process that were not known here stay in the file. The old content is there, or the new one, whatever happens
   * meanwhile; only its owner reads it. FAILED_PRECONDITION, reason KEYRING_NOT_WRITTEN: the old one is.
   */
  readonly keep: KeepKeys = async (keys, before) => {
    try {
      const known = new Set([...keys, ...before].map(textOf));
      const others = ((await this.read()) ?? []).filter((key) => !known.has(textOf(key)));
      const all = [...keys, ...others];
      if (all.length > MOST_KEYS)
        throw new Error(`${String(all.length)} keys with those of others, at most ${MOST}`);
      await this.#write(JSON.stringify(all.map(textOf), undefined, 2));
    } catch (error) {
      const isMissing = systemCodeOf(error) === 'ENOENT';
      const what = isMissing ? `there is no folder ${path.dirname(this.path)}` : messageOf(error);
      const why = `keyring ${this.path} could not be written: ${what}`;
      throw new FractoryError(status.FAILED_PRECONDITION, 'KEYRING_NOT_WRITTEN', why, {
        cause: error,
      });
    }
  };

  async #text(): Promise<string | undefined> {
    try {
      const found = await stat(this.path);
      if (!found.isFile()) throw this.#bad('is no file');
      if (found.size > MAX_FILE_BYTES)
        throw this.#bad(`has ${String(found.size)} bytes, at most ${String(MAX_FILE_BYTES)}`);
      return await readFile(this.path, 'utf8');
    } catch (error) {
      if (error instanceof FractoryError) throw error;
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw this.#bad(`can't be read: ${messageOf(error)}`);
    }
  }

  #keysIn(text: string): Buffer[] {
    const words = parsed(text);
    if (!Array.isArray(words)) throw this.#bad('is no JSON array of keys, such as ["BASE64"]');
    if (words.length === 0) throw this.#bad('has no keys');
    const keys = new Map<string, Buffer>();
    for (const [at, word] of (words as unknown[]).entries()) {
      const key = typeof word === 'string' ? Buffer.from(word, 'base64') : undefined;
      const which = `key ${String(at + 1)} of ${String(words.length)}`;
      if (!key || textOf(key) !== word) throw this.#bad(`${which} is no base64`);
      if (!KEY_BYTES.has(key.length))
        throw this.#bad(`${which} has ${String(key.length)} bytes, expected 16, 24 or 32`);
      keys.set(word, key);
    }
    return [...keys.values()];
  }

  async #write(text: string): Promise<void> {
    const target = await this.#target();
    const made = `${target}.${randomBytes(6).toString('hex')}`;
    try {
      await written(made, text);
      await renamed(made, target);
    } catch (error) {
      // Where it could not even be made there is none.
      await unlink(made).catch(() => undefined);
      throw error;
    }
  }

  /** A link to it stays one. */
  async #target(): Promise<string> {
    try {
      return await realpath(this.path);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return this.path;
      throw error;
    }
  }

  #bad(what: string): FractoryError {
    const why = `keyring ${this.path}: ${what}`;
    return new FractoryError(status.FAILED_PRECONDITION, 'BAD_KEYRING', why);
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('base64');
}

/** Undefined where it is no JSON: what the parser says of it would tell keys. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A new file that is on its disk. */
async function written(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Under its new name, on the disk where the folder can be synced: where not, the old file may be there again after a power cut. */
async function renamed(from: string, to: string): Promise<void> {
  const folder = await open(path.dirname(to), 'r').catch(() => undefined);
  try {
    await rename(from, to);
    await folder?.sync().catch(() => undefined);
  } finally {
    await folder?.close();
  }
}
