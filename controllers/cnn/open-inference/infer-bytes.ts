import { status } from '@grpc/grpc-js';

import { ModelInferRequest } from '../../../protos/gen/inference/grpc_service.js';
import { FractoryError } from '../../../runtime/errors.js';

/**
 * A request as bytes becomes objects only after its parts were counted: each element of typed contents is a number, a big number or a buffer of its own, up to
 * a hundred times as large as its one or two bytes, so that a message that is allowed could take all memory.
 */

/** What a field is, where it isn't one part. */
type Kind = Fields | 'varints' | 'fp32' | 'fp64';

interface Fields {
  readonly [number: number]: Kind;
}

const CONTENTS: Fields = {
  ...{ 1: 'varints', 2: 'varints', 3: 'varints', 4: 'varints', 5: 'varints' },
  ...{ 6: 'fp32', 7: 'fp64' },
};
const INPUT: Fields = { 3: 'varints', 5: CONTENTS };
const REQUEST: Fields = { 5: INPUT };
const FP32_BYTES = 4;
const FP64_BYTES = 8;

/** Reads a request, or says why not: it can't be thrown where gRPC reads bytes. */
export function readInferBytes(
  bytes: Uint8Array,
  maxElements: number,
): ModelInferRequest | FractoryError {
  const count = new PartCounter(bytes, maxElements).count(REQUEST, 0, bytes.length);
  if (count <= maxElements) return ModelInferRequest.decode(bytes);
  const allowed = String(maxElements);
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'LIMIT_EXCEEDED',
    `typed contents, shapes and lists have more than ${allowed} elements, the limit max_typed_elements is ${allowed}; raw_input_contents has no such limit`,
    { metadata: { limit: 'max_typed_elements', allowed } },
  );
}

class PartCounter {
  readonly #bytes: Uint8Array;
  readonly #most: number;
  #at = 0;
  #count = 0;

  constructor(bytes: Uint8Array, most: number) {
    this.#bytes = bytes;
    this.#most = most;
  }

  /** Stops where there are too many, or where it is no message: decoding tells that. */
  count(fields: Fields, start: number, end: number): number {
    this.#at = start;
    while (this.#at < end && this.#count <= this.#most) {
      const tag = this.#varint();
      this.#count++;
      const wireType = tag % 8;
      if (wireType === 0) this.#varint();
      else if (wireType === 1) this.#at += FP64_BYTES;
      else if (wireType === 5) this.#at += FP32_BYTES;
      else if (wireType === 2) {
        const length = this.#varint();
        const last = Math.min(end, this.#at + length);
        this.#content(fields[Math.floor(tag / 8)], last);
        this.#at = last;
      } else break;
    }
    return this.#count;
  }

  #content(kind: Kind | undefined, end: number): void {
    if (kind === undefined) return;
    const length = end - this.#at;
    if (kind === 'fp32') this.#count += length / FP32_BYTES;
    else if (kind === 'fp64') this.#count += length / FP64_BYTES;
    else if (kind === 'varints') this.#countVarints(end);
    else this.count(kind, this.#at, end);
  }

  #countVarints(end: number): void {
    for (let at = this.#at; at < end && this.#count <= this.#most; at++)
      if ((this.#bytes[at] ?? 0) < 0x80) this.#count++;
  }

  #varint(): number {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  }
}
