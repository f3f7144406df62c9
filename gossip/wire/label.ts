import { MessageType } from './messages.js';
import { malformed, WireError } from './wire-error.js';

export const MAX_LABEL_BYTES = 255;

/** What stands before a packet or stream of a cluster with a label; nothing where it has none. */
export function labelHeader(label: Uint8Array): Uint8Array {
  return label.length === 0
    ? label
    : Buffer.concat([Uint8Array.of(MessageType.hasLabel, label.length), label]);
}

/** Length of the label header at the start of a stream or packet; 0 = there is none. Throws `truncated` until it is there. */
export function checkLabel(bytes: Uint8Array, expected: Uint8Array): number {
  if (bytes[0] !== MessageType.hasLabel) {
    if (expected.length === 0) return 0;
    throw new WireError('forbidden', 'it has no label, this cluster has one');
  }
  const length = bytes[1];
  if (length === undefined || bytes.length < 2 + length)
    throw new WireError('truncated', 'a label header that ends too soon', 2 + (length ?? 0));
  if (length === 0) throw malformed('an empty label');
  const label = Buffer.from(bytes.subarray(2, 2 + length));
  if (!label.equals(expected)) {
    const own = expected.length === 0 ? 'none' : JSON.stringify(Buffer.from(expected).toString());
    const found = JSON.stringify(label.toString());
    throw new WireError('forbidden', `its label is ${found}, that of this cluster is ${own}`);
  }
  return 2 + length;
}
