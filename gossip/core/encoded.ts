import { encodeMessage } from '../wire/messages.js';
import type { Message } from '../wire/messages.js';

const known = new WeakMap<Message, Uint8Array>();

/** A message as it travels. It is passed on many times and encoded once. */
export function encodedOf(message: Message): Uint8Array {
  let encoded = known.get(message);
  if (!encoded) {
    encoded = encodeMessage(message);
    known.set(message, encoded);
  }
  return encoded;
}
