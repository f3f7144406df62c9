import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import type { ValueKind } from '../../protos/values.js';
import type { ArgumentSpec } from '../adaptor.js';
import type { MathLimits } from './limits.js';

/** Kinds of value that an integer may come as. */
export const INTEGERS: readonly ValueKind[] = ['integer', 'text', 'bytes'];

/** An argument that is an integer unless `kinds` says otherwise. */
export function argument(
  name: string,
  summary: string,
  options: { readonly optional?: boolean; readonly kinds?: readonly ValueKind[] } = {},
): ArgumentSpec {
  const { optional = false, kinds = INTEGERS } = options;
  return { name, summary, kinds, required: !optional };
}

/** The elements of an argument that is a list. */
export function elementsOf(
  name: string,
  value: Value | undefined,
  { max_elements: most }: MathLimits,
): readonly Value[] {
  const kind = value?.kind;
  if (kind?.$case !== 'list') throw invalidArgument(name, 'is not a list', 'NOT_A_LIST');
  const { values } = kind.value;
  if (values.length > most)
    throw limitExceeded('max_elements', values.length, most, { what: `the length of ${name}` });
  return values;
}

/** The text of an argument that is a number in some form. Files of text come as bytes. */
export function textOf(name: string, value: Value | undefined, maxDigits: number): string {
  const kind = value?.kind;
  switch (kind?.$case) {
    case 'integer':
    case 'text':
      return kind.value;
    case 'number':
      return String(kind.value);
    case 'bytes': {
      const { mediaType, data } = kind.value;
      if (!/^(text\/.*|application\/octet-stream|)$/.test(mediaType))
        throw invalidArgument(name, `${mediaType} is not an integer`, 'NOT_AN_INTEGER');
      // One byte more than is allowed is enough to be refused for its length.
      return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
        .subarray(0, maxDigits + 128)
        .toString('utf8');
    }
    default:
      throw invalidArgument(name, 'is not an integer', 'NOT_AN_INTEGER');
  }
}
