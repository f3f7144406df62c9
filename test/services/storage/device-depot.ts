import { createHash } from 'node:crypto';

import { status } from '@grpc/grpc-js';

import type { Memory } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { BlockDevice } from '../../../services/block/device.js';
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

const CHUNK_BYTES = 64 * 1024;
const signal = new AbortController().signal;

/** A depot on a block device of the same process. What is released is freed at once. */
export class DeviceDepot implements Depot {
  readonly #device: BlockDevice;
  #freeing: Promise<void> = Promise.resolve();

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  async deposit(source: ContentSource, { label }: DepositOptions): Promise<Deposit> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of chunksOf(source)) chunks.push(chunk);
    const whole = Buffer.concat(chunks);
    const sha256 = createHash('sha256').update(whole).digest('hex');
    const extents = whole.length > 0 ? [await this.#keep(whole, label)] : [];
    const placement = { device: 'block-1', extents };
    return { placement, sizeBytes: whole.length, sha256, head: whole.subarray(0, 512) };
  }

  open({ placement, sizeBytes }: PlacedContent): Promise<OpenContent> {
    const content = this.#device.content(placement.extents, sizeBytes);
    const range = { offset: 0, length: sizeBytes };
    return Promise.resolve({
      chunks: () => content.read(range, { chunkBytes: CHUNK_BYTES, signal }),
      [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
    });
  }

  memory(): Promise<Memory> {
    throw new FractoryError(status.UNIMPLEMENTED, 'NO_MEMORIES', 'it has no controller');
  }

  release({ extents }: Placement): void {
    this.#freeing = this.#freeing.then(() => this.#device.free(extents));
  }

  async *extents(prefix: string): AsyncGenerator<readonly KnownExtent[], void> {
    for (let token = ''; ;) {
      const page = this.#device.list(prefix, token);
      yield await Promise.resolve(page.extents);
      token = page.nextPageToken;
      if (token === '') return;
    }
  }

  free(extents: readonly string[]): Promise<void> {
    return this.#device.free(extents);
  }

  /** Resolves when all that was released is free. */
  async settled(): Promise<void> {
    await this.#freeing;
  }

  async #keep(whole: Buffer, label: string): Promise<string> {
    const { id } = await this.#device.allocate(whole.length, label);
    await using content = this.#device.content([id], whole.length);
    await content.write(0, whole);
    await this.#device.sync([id]);
    return id;
  }
}
