import { ValueList } from '../../../protos/gen/fractory/v1/value.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import {
  bytesValue,
  integerValue,
  listValue,
  tensorValue,
  textValue,
} from '../../../protos/values.js';

const NO_BYTES = new Uint8Array(0);

/** The value without its data: what `Memory.form` says of its bytes. */
export function formOf({ kind }: Value): Value {
  switch (kind?.$case) {
    case 'bytes':
      return bytesValue(kind.value.mediaType, NO_BYTES);
    case 'tensor':
      return tensorValue({ ...kind.value, data: NO_BYTES });
    case 'text':
      return textValue('');
    case 'integer':
      return integerValue('');
    case 'list':
      return listValue([]);
    default:
      throw notKept(kind?.$case);
  }
}

/** The data of the value, as its memory holds it: what `assemble` makes the value of again. */
export function bytesOf({ kind }: Value): Uint8Array {
  switch (kind?.$case) {
    case 'bytes':
    case 'tensor':
      return kind.value.data;
    case 'text':
    case 'integer':
      return Buffer.from(kind.value);
    case 'list':
      return ValueList.encode(kind.value).finish();
    default:
      throw notKept(kind?.$case);
  }
}

/** Numbers and failures are small by nature; what is a memory already is not kept again. */
function notKept(kind: string | undefined): Error {
  return new Error(`a value of kind ${kind ?? 'none'} is never kept as a memory`);
}
