import { createHash } from 'node:crypto';

import type { Memory, Value } from '../../../../protos/gen/fractory/v1/value.js';
import { assert } from '../../../suite.js';
import { never } from './sites.js';
import type { Site } from './sites.js';

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
export const valueOf = (memory: Memory): Value => ({ kind: { $case: 'memory', value: memory } });

export function pull(site: Site, memory: Memory, signal = never): Promise<Value> {
  return site.memory.access.pull(valueOf(memory), { maxBytes: 64 * 1024 ** 2, signal });
}

export function bytesOf(value: Value): Uint8Array {
  if (value.kind?.$case !== 'bytes') throw new Error('the value has no bytes');
  return value.kind.value.data;
}

export function same(found: Uint8Array, expected: Uint8Array, what = 'content'): void {
  assert.is(Buffer.compare(found, expected), 0, what);
}
