import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import { invalidArgument } from '../../runtime/errors.js';
import { malformed, WireError } from './wire-error.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const BLOCK_BYTES = 16;
/** What encryption adds to a packet without padding: version, nonce, tag. */
export const ENCRYPTION_BYTES = 1 + NONCE_BYTES + TAG_BYTES;
/** 0 = padded (protocol 1), 1 = as long as it is. */
const NEWEST_FORM = 1;

const algorithms = new Map([
  [16, 'aes-128-gcm'],
  [24, 'aes-192-gcm'],
  [32, 'aes-256-gcm'],
] as const);

/** What can't be decrypted costs a try with each. */
export const MOST_KEYS = 16;

/** How long a key may be, bytes. */
export const KEY_BYTES: ReadonlySet<number> = new Set(algorithms.keys());

/**
 * Writes down what the keys are to be, for the next start, before they are; `before`: what they are until then. Where it rejects, they stay what they are.
 */
export type KeepKeys = (
  keys: readonly Uint8Array[],
  before: readonly Uint8Array[],
) => Promise<void>;

/** Keys that a cluster shares: the first one encrypts, all of them decrypt. With AES-GCM; a key is 16, 24 or 32 bytes. */
export class Keyring {
  readonly #keep: KeepKeys | undefined;
  #keys: readonly Buffer[];
  #changed: Promise<void> = Promise.resolve();

  /** `keep`: default, changes are forgotten with this process. Throws INVALID_ARGUMENT for a key of another length; there has to be one, and there are 16 at most. */
  constructor(keys: readonly Uint8Array[], keep?: KeepKeys) {
    this.#keys = keys.map(checked);
    this.#keep = keep;
    if (keys.length === 0) throw invalidArgument('key', 'a keyring needs a key');
    checkNumber(keys);
  }

  /** The keys, the one that encrypts first. */
  get keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  /** Whether changes outlive this process. */
  get isKept(): boolean {
    return this.#keep !== undefined;
  }

  /** Accepts what is encrypted with this key too. Rejects, as the next two, where the change can't be kept: then nothing has changed. */
  add(key: Uint8Array): Promise<void> {
    return this.#change((keys) =>
      keys.some((known) => known.equals(key)) ? keys : [...keys, checked(key)],
    );
  }

  /** Encrypts with this key from now on. It has to be known: others must be able to read it before. */
  use(key: Uint8Array): Promise<void> {
    return this.#change((keys) => {
      const known = keys.find((one) => one.equals(key));
      if (!known) throw invalidArgument('key', 'is not in the keyring: add it everywhere first');
      return [known, ...keys.filter((one) => one !== known)];
    });
  }

  /** Accepts this key no more; the one that encrypts can't be removed. */
  remove(key: Uint8Array): Promise<void> {
    return this.#change((keys) => {
      if (keys[0]?.equals(key)) throw invalidArgument('key', 'is the one that encrypts');
      return keys.filter((one) => !one.equals(key));
    });
  }

  /** Writes down the keys as they are. */
  keep(): Promise<void> {
    return this.#change((keys) => keys);
  }

  /** One change after the other; kept, then in force. */
  #change(next: (keys: readonly Buffer[]) => readonly Buffer[]): Promise<void> {
    const changed = this.#changed.then(async () => {
      const keys = next(this.#keys);
      checkNumber(keys);
      await this.#keep?.(keys, this.#keys);
      this.#keys = keys;
    });
    this.#changed = changed.catch(() => undefined);
    return changed;
  }

  /** `associated`: what has to be the same on the other side, and isn't sent here. */
  seal(plain: Uint8Array, associated: Uint8Array): Uint8Array {
    return finished(this.sealing(plain, associated));
  }

  /** In steps of bounded work. */
  *sealing(plain: Uint8Array, associated: Uint8Array): Generator<undefined, Uint8Array> {
    const [key] = this.#keys;
    if (!key) throw new Error('a keyring without a key');
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(algorithmOf(key), key, nonce).setAAD(associated);
    const sealed = Buffer.allocUnsafe(plain.length + ENCRYPTION_BYTES);
    sealed[0] = NEWEST_FORM;
    sealed.set(nonce, 1);
    yield* piecewise(cipher, plain, sealed.subarray(1 + NONCE_BYTES));
    cipher.final();
    sealed.set(cipher.getAuthTag(), sealed.length - TAG_BYTES);
    return sealed;
  }

  /** Throws a WireError where no key fits. */
  open(sealed: Uint8Array, associated: Uint8Array): Uint8Array {
    return finished(this.opening(sealed, associated));
  }

  /** In steps of bounded work. Throws a WireError where no key fits. */
  *opening(sealed: Uint8Array, associated: Uint8Array): Generator<undefined, Uint8Array> {
    const [form] = sealed;
    if (form === undefined || form > NEWEST_FORM)
      throw new WireError('undecryptable', `no form of encryption is called ${String(form)}`);
    if (sealed.length < ENCRYPTION_BYTES)
      throw new WireError('undecryptable', `${String(sealed.length)} bytes are too few to decrypt`);
    for (const key of this.#keys) {
      const plain = yield* tryOpen(key, sealed, associated);
      if (plain) return form === 0 ? withoutPadding(plain) : plain;
    }
    throw new WireError('undecryptable', `none of ${String(this.#keys.length)} keys decrypts it`);
  }
}

function checkNumber({ length }: readonly Uint8Array[]): void {
  if (length <= MOST_KEYS) return;
  const most = String(MOST_KEYS);
  throw invalidArgument('key', `a keyring has ${most} keys at most: remove one that nobody uses`);
}

function* tryOpen(
  key: Buffer,
  sealed: Uint8Array,
  associated: Uint8Array,
): Generator<undefined, Buffer | undefined> {
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(algorithmOf(key), key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated).setAuthTag(sealed.subarray(end));
  const plain = Buffer.allocUnsafe(end - 1 - NONCE_BYTES);
  yield* piecewise(decipher, sealed.subarray(1 + NONCE_BYTES, end), plain);
  try {
    decipher.final();
    return plain;
  } catch {
    // Its only complaint: the tag is not that of this key, these bytes and these associated ones.
    return undefined;
  }
}

/** Work of one step, bytes: about a tenth of a millisecond. */
const STEP_BYTES = 128 * 1024;

/** In this mode each piece comes out as long as it went in. */
function* piecewise(
  cipher: { update(piece: Uint8Array): Uint8Array },
  from: Uint8Array,
  to: Uint8Array,
): Generator<undefined, void> {
  for (let at = 0; at < from.length; at += STEP_BYTES) {
    if (at > 0) yield undefined;
    to.set(cipher.update(from.subarray(at, at + STEP_BYTES)), at);
  }
}

function finished<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** PKCS #7. */
function withoutPadding(plain: Uint8Array): Uint8Array {
  const padding = plain[plain.length - 1] ?? 0;
  if (padding === 0 || padding > BLOCK_BYTES || padding > plain.length)
    throw malformed(`${String(padding)} bytes of padding`);
  return plain.subarray(0, plain.length - padding);
}

function checked(key: Uint8Array): Buffer {
  if (algorithms.has(key.length as 16)) return Buffer.from(key);
  throw invalidArgument('key', `has ${String(key.length)} bytes, expected 16, 24 or 32`);
}

function algorithmOf(key: Buffer): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  const algorithm = algorithms.get(key.length as 16);
  if (!algorithm) throw new Error(`a key of ${String(key.length)} bytes`);
  return algorithm;
}
