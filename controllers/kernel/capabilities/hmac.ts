import * as crypto from 'node:crypto';

/** HMAC-SHA256 (RFC 2104): 32 bytes. */
export type Hmac = (key: Uint8Array, message: Uint8Array) => Uint8Array;

const KEY_BYTES = 32;
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
/** Longer messages gain nothing by the short way. */
const MAX_SHORT_BYTES = 4096;

/** Where the two hashes of a short HMAC take their bytes from. What lies behind the key's 32 bytes is the padding of its block, and stays. */
const inner = Buffer.alloc(BLOCK_BYTES + MAX_SHORT_BYTES, 0x36);
const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c);

/** Absent before Node.js 20.12. */
const { hash } = crypto as { readonly hash?: typeof crypto.hash };

/**
 * As `crypto.createHmac` does it, in two thirds of the time where it can: an invocation needs one of these for each caveat, and they are most of what its
 * checks cost. Digests go through strings because bytes would come with an ArrayBuffer of their own.
 */
export const hmacSha256: Hmac = (key, message) => {
  if (!hash || key.length !== KEY_BYTES || message.length > MAX_SHORT_BYTES)
    return crypto.createHmac('sha256', key).update(message).digest();
  for (let place = 0; place < KEY_BYTES; place++) {
    const byte = key[place] ?? 0;
    inner[place] = byte ^ 0x36;
    outer[place] = byte ^ 0x5c;
  }
  inner.set(message, BLOCK_BYTES);
  const first = hash('sha256', inner.subarray(0, BLOCK_BYTES + message.length), 'binary');
  outer.write(first, BLOCK_BYTES, 'binary');
  return Buffer.from(hash('sha256', outer, 'binary'), 'binary');
};
