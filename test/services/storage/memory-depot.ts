import { createHash, randomUUID } from 'node:crypto';

import { status } from '@grpc/grpc-js';

import type { Memory } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import { abortable } from '../../../services/storage/abortable.js';
import { chunksOf } from '../../../services/storage/depot.js';
import type {
  ContentSource,
  Deposit,
  DepositOptions,
  Depot,
  KnownExtent,
  OpenContent,
  PlacedContent,
  Placement,
} from '../../../services/storage/depot.js';
import { fileTooLarge } from '../../../services/storage/failures.js';

const EXTENT_BYTES = 64 * 1024;

/** A depot on the heap: the twin of the one on a block device. What is released is freed at once. */
export class MemoryDepot implements Depot {
  readonly held = new Map<string, { readonly label: string; readonly bytes: Buffer }>();
  /** Placements that were given to readers. */
  readonly shared: Placement[] = [];

  async deposit(source: ContentSource, options: DepositOptions): Promise<Deposit> {
    const { signal, maxBytes, what, label } = options;
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of abortable(chunksOf(source), signal)) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) throw fileTooLarge('max_file_bytes', what, sizeBytes, maxBytes);
      hash.update(chunk);
      chunks.push(Buffer.from(chunk));
    }
    const whole = Buffer.concat(chunks);
    const extents: string[] = [];
    for (let at = 0; at < sizeBytes; at += EXTENT_BYTES) {
      const id = randomUUID();
      this.held.set(id, { label, bytes: whole.subarray(at, at + EXTENT_BYTES) });
      extents.push(id);
    }
    return {
      ...{ placement: { device: 'heap', extents }, sizeBytes, sha256: hash.digest('hex') },
      head: whole.subarray(0, 512),
    };
  }

  open(content: PlacedContent): Promise<OpenContent> {
    const parts = content.placement.extents.map((id) => this.#find(id).bytes);
    return Promise.resolve({
      chunks: () => chunksOfParts(parts, content.sha256),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  }

  memory(content: PlacedContent): Promise<Memory> {
    for (const id of content.placement.extents) this.#find(id);
    this.shared.push(content.placement);
    const sizeBytes = BigInt(content.sizeBytes);
    return Promise.resolve({ sizeBytes, sha256: Buffer.from(content.sha256, 'hex') });
  }

  release({ extents }: Placement): void {
    for (const id of extents) this.held.delete(id);
  }

  async *extents(prefix: string): AsyncGenerator<readonly KnownExtent[], void> {
    for (const [id, { label }] of [...this.held])
      if (label.startsWith(prefix)) yield await Promise.resolve([{ id, label }]);
  }

  free(extents: readonly string[]): Promise<void> {
    for (const id of extents) this.held.delete(id);
    return Promise.resolve();
  }

  #find(id: string): { readonly bytes: Buffer } {
    const found = this.held.get(id);
    if (found) return found;
    throw new FractoryError(status.NOT_FOUND, 'EXTENT_NOT_FOUND', 'there is no such extent');
  }
}

async function* chunksOfParts(
  parts: readonly Buffer[],
  sha256: string,
): AsyncGenerator<Uint8Array, void> {
  const hash = createHash('sha256');
  for (const bytes of parts) {
    hash.update(bytes);
    yield await Promise.resolve(bytes);
  }
  if (hash.digest('hex') !== sha256)
    throw new FractoryError(status.DATA_LOSS, 'CONTENT_DAMAGED', 'it is not what it was');
}
