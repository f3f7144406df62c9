import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Memory } from '../../protos/gen/fractory/v1/value.js';
import { bytesValue } from '../../protos/values.js';
import type { Blocks } from '../../services/block/adaptor.js';
import type { BlockContent } from '../../services/block/block-content.js';
import type { BlockDevice, Extent } from '../../services/block/device.js';
import type { KeptMemory, MemoryAccess } from '../kernel/memory/access.js';

export interface OpenExtentsOptions {
  /** 0 = all of the extents. */
  readonly sizeBytes: number;
  readonly writable: boolean;
  /** Infinity = with the node's present life. */
  readonly leaseMs: number;
  /** Who it is counted to. */
  readonly client: string;
}

/** A device and the memories that were made of its extents: a free revokes them before blocks are given back. */
export class OpenExtents implements Blocks {
  readonly #device: BlockDevice;
  readonly #memory: () => MemoryAccess;
  /** Memories by extent. Those that have ended are taken out when others come. */
  readonly #memories = new Map<string, Set<KeptMemory>>();

  constructor(device: BlockDevice, memory: () => MemoryAccess) {
    this.#device = device;
    this.#memory = memory;
  }

  /** One memory over several extents, one after the other. */
  open(
    ids: readonly string[],
    options: OpenExtentsOptions,
  ): { readonly memory: Memory; readonly revoker: Capability } {
    const { sizeBytes, writable, leaseMs, client } = options;
    const content = this.#device.content(ids, sizeBytes);
    const form = bytesValue('application/octet-stream', new Uint8Array());
    const lease = { client, leaseMs, writable, heldBytes: 0 };
    const kept = this.#memory().keep(content, form, lease);
    for (const id of ids) this.#of(id).add(kept);
    return { memory: kept.memory, revoker: kept.revoker };
  }

  allocate(sizeBytes: number, label?: string): Promise<Extent> {
    return this.#device.allocate(sizeBytes, label);
  }

  content(ids: readonly string[]): BlockContent {
    return this.#device.content(ids);
  }

  async free(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      for (const kept of this.#memories.get(id) ?? []) kept.free();
      this.#memories.delete(id);
    }
    await this.#device.free(ids);
  }

  #of(id: string): Set<KeptMemory> {
    const known = [...(this.#memories.get(id) ?? [])].filter(({ isLive }) => isLive);
    const live = new Set(known);
    this.#memories.set(id, live);
    return live;
  }
}
