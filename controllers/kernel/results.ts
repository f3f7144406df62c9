import { createHash } from 'node:crypto';

import { status } from '@grpc/grpc-js';

import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { sizeOf } from '../../protos/values.js';
import { FractoryError } from '../../runtime/errors.js';
import { KeptResult } from '../../services/content.js';
import type { Content } from '../../services/content.js';
import type { OperationResult } from '../../services/adaptor.js';
import type { KeepOptions, KeptMemory, MemoryAccess } from './memory/access.js';
import { BufferContent } from './memory/buffer-content.js';
import { assemble } from './memory/value-content.js';
import { bytesOf, formOf } from './memory/value-form.js';

/** A result as it travels, and the memory behind it if it is too large to travel itself. */
export interface Travelling {
  readonly value: Value;
  readonly kept: KeptMemory | undefined;
}

/** Results up to the inline limit travel with the invocation; larger ones are kept here and pulled by whoever needs them. */
export class Results {
  readonly #memory: MemoryAccess;
  readonly #inlineLimitBytes: number;

  constructor(memory: MemoryAccess, inlineLimitBytes: number) {
    this.#memory = memory;
    this.#inlineLimitBytes = inlineLimitBytes;
  }

  isInline(value: Value): boolean {
    return sizeOf(value) <= this.#inlineLimitBytes;
  }

  /** Throws what keeping throws, RESOURCE_EXHAUSTED above all. `sha256`: of the value's bytes, where it is known; whoever pulls them compares. */
  travelling(value: Value, options: KeepOptions, sha256?: Uint8Array): Travelling {
    if (this.isInline(value)) return { value, kept: undefined };
    const content = new BufferContent(bytesOf(value), sha256 ? { sha256 } : {});
    const kept = this.#memory.keep(content, formOf(value), options);
    return { value: memoryValue(kept), kept };
  }

  async settle(
    result: OperationResult,
    options: KeepOptions,
    signal: AbortSignal,
  ): Promise<Travelling> {
    if (!(result instanceof KeptResult)) return this.travelling(result, options);
    const { content, form } = result;
    if (content.sizeBytes <= this.#inlineLimitBytes)
      return { value: assemble(form, await readWhole(content, signal)), kept: undefined };
    const kept = this.#memory.keep(content, form, { ...options, heldBytes: 0 });
    return { value: memoryValue(kept), kept };
  }
}

function memoryValue({ memory }: KeptMemory): Value {
  return { kind: { $case: 'memory', value: memory } };
}

async function readWhole(content: Content, signal: AbortSignal): Promise<Uint8Array> {
  await using owned = content;
  const range = { offset: 0, length: owned.sizeBytes };
  const chunks: Uint8Array[] = [];
  for await (const chunk of owned.read(range, { chunkBytes: owned.sizeBytes || 1, signal }))
    chunks.push(chunk);
  const whole = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
  if (owned.sha256 && !createHash('sha256').update(whole).digest().equals(owned.sha256))
    throw new FractoryError(
      status.DATA_LOSS,
      'CONTENT_DAMAGED',
      `${String(whole.length)} bytes were read that are not what was stored: their SHA-256 is another`,
    );
  return whole;
}
