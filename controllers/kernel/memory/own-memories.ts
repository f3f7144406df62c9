import type { Limits } from '../../../config/limits.js';
import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import type { Clock } from '../../../runtime/clock.js';
import { unavailable } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { Content, ContentRange } from '../../../services/content.js';
import { denied } from '../capabilities/caveats.js';
import { RIGHT_READ, RIGHT_WRITE } from '../capabilities/token.js';
import type { KeepOptions, KeptMemory } from './access.js';
import { KeptContent } from './kept-content.js';
import { openRead, openWrite, within } from './open-memory.js';
import type { OpenRead, OpenWrite, View } from './open-memory.js';
import { Quota } from './quota.js';

/** The longest that a timer can wait, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const NO_BYTES = new Uint8Array(0);

/** A use of a capability, as far as memories care. */
export interface MemoryUse {
  readonly object: { readonly kind: string; readonly memory?: { readonly sizeBytes: number } };
  readonly allowance: {
    /** Part of the memory that caveats leave; undefined = all of it. */
    readonly range?: { readonly offset: number; readonly length: number } | undefined;
  };
}

/** What memories need of the object table. */
export interface MemoryObjects {
  readonly epoch: bigint;
  use(capability: Capability, right: number): MemoryUse;
  checkLive(use: MemoryUse): void;
  addMemory(memory: KeptContent, rights: number): { capability: Capability; revoker: Capability };
  remove(object: bigint): void;
  revoke(capability: Capability): number;
}

export interface OwnMemoriesOptions {
  readonly objects: MemoryObjects;
  readonly limits: Pick<Limits, 'max_memories' | 'max_memory_bytes' | 'max_client_memory_bytes'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Hears how many there are and what they take, after every change. */
  readonly onChange?: (count: number, bytes: number) => void;
}

/** The memories that this node owns: how they are kept, counted, leased, freed, opened. */
export class OwnMemories {
  readonly #options: OwnMemoriesOptions;
  readonly #quota: Quota;
  readonly #disposals = new Set<Promise<void>>();
  readonly #frees = new Set<() => void>();

  constructor(options: OwnMemoriesOptions) {
    this.#options = options;
    this.#quota = new Quota(options.limits);
  }

  /** Memories, those included that are dead and still in use by a transfer. */
  get count(): number {
    return this.#quota.count;
  }

  /** Bytes of this node's memory that they take. */
  get bytes(): number {
    return this.#quota.bytes;
  }

  /** Clients that something is counted to. */
  get clients(): number {
    return this.#quota.clients;
  }

  /** Throws as `keep` would for want of room. */
  checkRoom(client: string, heldBytes: number): void {
    this.#quota.check(client, heldBytes);
  }

  keep(content: Content, form: Value, options: KeepOptions): KeptMemory {
    const { objects } = this.#options;
    const heldBytes = options.heldBytes ?? content.sizeBytes;
    try {
      if (objects.epoch === 0n)
        throw unavailable('NOT_REGISTERED', 'this node is not registered and can keep nothing');
      this.#quota.take(options.client, heldBytes);
    } catch (error) {
      this.#dispose(content);
      throw error;
    }
    let cancelLease = (): void => undefined;
    let object: bigint | undefined;
    const listeners: (() => void)[] = [];
    const kept = new KeptContent(content, () => {
      cancelLease();
      this.#frees.delete(free);
      this.#quota.give(options.client, heldBytes);
      this.#changed();
      this.#dispose(content);
      for (const listener of listeners.splice(0)) listener();
    });
    const free = (): void => {
      if (kept.isLive && object !== undefined) objects.remove(object);
      kept.onDead();
    };
    this.#frees.add(free);
    try {
      const rights = options.writable && content.write ? RIGHT_READ | RIGHT_WRITE : RIGHT_READ;
      const { capability, revoker } = objects.addMemory(kept, rights);
      object = capability.object;
      cancelLease = this.#lease(options.leaseMs, free);
      this.#changed();
      return keptMemory(kept, { free, listeners }, { capability, revoker, form });
    } catch (error) {
      free();
      throw error;
    }
  }

  /** Checks the capability and the range, of which a length of 0 means all the rest. `exact`: a length of 0 is 0. */
  openRead(
    capability: Capability,
    range: ContentRange,
    options: { readonly exact?: boolean } = {},
  ): OpenRead {
    return openRead(this.#open(capability, RIGHT_READ), range, options);
  }

  /** Checks the capability; writing begins at `offset`. */
  openWrite(capability: Capability, offset: number): OpenWrite {
    return openWrite(this.#open(capability, RIGHT_WRITE), offset);
  }

  /** Frees all memories and waits until their contents are disposed of. */
  async close(): Promise<void> {
    for (const free of [...this.#frees]) free();
    await Promise.all(this.#disposals);
  }

  #open(capability: Capability, right: number): View {
    const { objects } = this.#options;
    const use = objects.use(capability, right);
    const { memory } = use.object;
    if (!(memory instanceof KeptContent)) throw denied('the capability is not for a memory');
    const whole = { offset: 0, length: memory.sizeBytes };
    const check = (): void => {
      objects.checkLive(use);
    };
    return { kept: memory, range: within(whole, use.allowance.range ?? whole), check };
  }

  #lease(leaseMs: number, free: () => void): () => void {
    if (leaseMs === Infinity) return () => undefined;
    return this.#options.clock.schedule(Math.min(leaseMs, MAX_TIMER_MS), free);
  }

  #changed(): void {
    this.#options.onChange?.(this.count, this.bytes);
  }

  #dispose(content: Content): void {
    const disposal = Promise.resolve(content[Symbol.asyncDispose]())
      .catch((error: unknown) => {
        this.#options.log.warn({ err: error }, 'disposing of the content of a memory failed');
      })
      .finally(() => this.#disposals.delete(disposal));
    this.#disposals.add(disposal);
  }
}

function keptMemory(
  kept: KeptContent,
  { free, listeners }: { readonly free: () => void; readonly listeners: (() => void)[] },
  made: { readonly capability: Capability; readonly revoker: Capability; readonly form: Value },
): KeptMemory {
  const { capability, revoker, form } = made;
  const sha256 = kept.content.sha256 ?? NO_BYTES;
  return {
    memory: { capability, form, sizeBytes: BigInt(kept.sizeBytes), sha256 },
    ...{ revoker, free },
    get isLive() {
      return kept.isLive;
    },
    onFreed: (listener) => {
      if (kept.isLive) listeners.push(listener);
      else listener();
    },
  };
}
