import { status } from '@grpc/grpc-js';

import { ValueList } from '../../../protos/gen/fractory/v1/value.js';
import type { Memory, Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue, sizeOf, textValue } from '../../../protos/values.js';
import { FractoryError, limitExceeded } from '../../../runtime/errors.js';

/** Lists in lists that a pulled value may have. */
const MAX_DEPTH = 16;

/** The memories that stand in a value, in order. */
export function memoriesIn(value: Value): Memory[] {
  const { kind } = value;
  if (kind?.$case === 'memory') return [kind.value];
  if (kind?.$case === 'list') return kind.value.values.flatMap(memoriesIn);
  return [];
}

/** The value that a form and the bytes of its memory make. DATA_LOSS for bytes that can't be such a value. Keeps `data`. */
export function assemble(form: Value | undefined, data: Uint8Array): Value {
  const kind = form?.kind;
  switch (kind?.$case) {
    case 'bytes':
      return { kind: { $case: 'bytes', value: { mediaType: kind.value.mediaType, data } } };
    case 'tensor':
      return { kind: { $case: 'tensor', value: { ...kind.value, data } } };
    case 'text':
      return textValue(decodeText(data));
    case 'integer':
      return integerValue(decodeInteger(data));
    case 'list':
      return { kind: { $case: 'list', value: decodeList(data) } };
    default:
      throw unreadable(`a memory can't hold a value of kind ${kind?.$case ?? 'none'}`);
  }
}

export type FetchMemory = (memory: Memory) => Promise<Uint8Array>;

/**
 * A value with the bytes of its memories in their place; those that appear in lists that were fetched too. All memories of a level are fetched at
 * once. RESOURCE_EXHAUSTED, before anything more is fetched, if all together would be more than `maxBytes`.
 */
export async function materialize(
  value: Value,
  maxBytes: number,
  fetch: FetchMemory,
): Promise<Value> {
  let whole = value;
  for (let depth = 0; ; depth++) {
    const memories = memoriesIn(whole);
    if (memories.length === 0) return whole;
    if (depth === MAX_DEPTH) throw limitExceeded('depth of lists', depth + 1, MAX_DEPTH);
    const bytes = memories.reduce((sum, memory) => sum + Number(memory.sizeBytes), sizeOf(whole));
    if (bytes > maxBytes)
      throw limitExceeded('max_pulled_bytes', bytes, maxBytes, { what: 'the size of the value' });
    const fetched = await Promise.all(
      memories.map(async (memory) => assemble(memory.form, await fetch(memory))),
    );
    whole = replaceMemories(whole, fetched[Symbol.iterator]());
  }
}

function replaceMemories(value: Value, replacements: Iterator<Value, unknown>): Value {
  const { kind } = value;
  if (kind?.$case === 'memory') {
    const next = replacements.next();
    return next.done ? value : next.value;
  }
  if (kind?.$case !== 'list') return value;
  const values = kind.value.values.map((one) => replaceMemories(one, replacements));
  return { kind: { $case: 'list', value: { values } } };
}

function decodeText(data: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw unreadable('the bytes of a text are not UTF-8');
  }
}

function decodeInteger(data: Uint8Array): string {
  const text = decodeText(data);
  if (!/^-?[0-9]+$/.test(text)) throw unreadable('the bytes of an integer are not decimal digits');
  return text;
}

function decodeList(data: Uint8Array): ValueList {
  try {
    return ValueList.decode(data);
  } catch {
    throw unreadable('the bytes of a list are not readable');
  }
}

function unreadable(message: string): FractoryError {
  return new FractoryError(status.DATA_LOSS, 'CONTENT_DAMAGED', message);
}
