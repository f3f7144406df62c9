import { ELEMENT_BYTES, elementCount, shapeText } from '../../../protos/tensors.js';
import { invalidArgument } from '../../../runtime/errors.js';
import type { Tensor } from './tensor.js';

/** Bytes of the length before each element of BYTES. */
const LENGTH_BYTES = 4;
/** Dimensions; more than any library of tensors knows. */
const MAX_RANK = 64;

/**
 * Throws INVALID_ARGUMENT, reason BAD_TENSOR, unless the data is exactly the elements of the shape: 64 dimensions at most, no size below 0, the right number of bytes, each BOOL
 * 0 or 1, each element of BYTES whole. `field` names the tensor in the error.
 */
export function checkTensor({ datatype, shape, data }: Tensor, field: string): void {
  const bad = (what: string): Error => invalidArgument(field, what, 'BAD_TENSOR');
  if (shape.length > MAX_RANK)
    throw bad(`has ${String(shape.length)} dimensions, expected ${String(MAX_RANK)} at most`);
  const negative = shape.find((size) => size < 0 || !Number.isSafeInteger(size));
  if (negative !== undefined)
    throw bad(`shape ${shapeText(shape)} has the size ${String(negative)}, expected 0 or more`);
  const count = elementCount(shape);
  if (datatype === 'BYTES') {
    const found = countBytes(data, field);
    if (found !== count)
      throw bad(`shape ${shapeText(shape)} is ${String(count)} elements, found ${String(found)}`);
    return;
  }
  const expected = count * ELEMENT_BYTES[datatype];
  if (data.length !== expected)
    throw bad(
      `shape ${shapeText(shape)} of ${datatype} is ${String(expected)} bytes, found ${String(data.length)}`,
    );
  if (datatype !== 'BOOL') return;
  const strange = data.findIndex((byte) => byte > 1);
  if (strange >= 0)
    throw bad(`element ${String(strange)} is ${String(data[strange])}, a BOOL is 0 or 1`);
}

/** The elements of BYTES data. Throws BAD_TENSOR where it ends within an element. */
export function splitBytes(data: Uint8Array, field: string): Uint8Array[] {
  const elements: Uint8Array[] = [];
  countBytes(data, field, (start, end) => elements.push(data.subarray(start, end)));
  return elements;
}

/** How many elements BYTES data has. */
function countBytes(
  data: Uint8Array,
  field: string,
  visit?: (start: number, end: number) => void,
): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let count = 0;
  for (let offset = 0; offset < data.length; count++) {
    const start = offset + LENGTH_BYTES;
    const end = start <= data.length ? start + view.getUint32(offset, true) : Infinity;
    if (end > data.length)
      throw invalidArgument(
        field,
        `its data ends within element ${String(count)} of BYTES; each stands after its length in 4 bytes`,
        'BAD_TENSOR',
      );
    visit?.(start, end);
    offset = end;
  }
  return count;
}

/** The data of a BYTES tensor with these elements. */
export function joinBytes(elements: readonly Uint8Array[]): Uint8Array {
  const total = elements.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0);
  const data = new Uint8Array(total);
  const view = new DataView(data.buffer);
  let offset = 0;
  for (const element of elements) {
    view.setUint32(offset, element.length, true);
    data.set(element, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + element.length;
  }
  return data;
}
