import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { TransferEnd } from '../../../protos/gen/fractory/v1/controller.js';
import type { Memory, Value } from '../../../protos/gen/fractory/v1/value.js';
import type { Content } from '../../../services/content.js';

export interface KeepOptions {
  /** Who it is counted to, beside the node's own limit: a run (`run RUN`), a peer. */
  readonly client: string;
  /** When it is freed by itself, ms from now; Infinity = with the node's present life. */
  readonly leaseMs: number;
  /** Whether the capability has the right to write too. Default: read only. */
  readonly writable?: boolean;
  /** Bytes of this node's memory that the content takes. Default: its size; 0 for what lies on a disk. */
  readonly heldBytes?: number;
}

/** A memory of this node. It is freed once: by `free`, by its revocation, at the end of its lease or of this life of the node. */
export interface KeptMemory {
  /** As it travels to whoever may read it. */
  readonly memory: Memory;
  readonly revoker: Capability;
  /** False once it was freed. */
  readonly isLive: boolean;
  /** Disposes of the content when the reads under way have stopped. Idempotent. */
  free(): void;
  /** Calls `listener` once when it was freed, whatever freed it; at once if it was already. */
  onFreed(listener: () => void): void;
}

export interface CopyOptions {
  readonly sha256?: boolean;
  readonly signal: AbortSignal;
}

/** What devices and the kernel do with memories, their own and others'. */
export interface MemoryAccess {
  /** Keeps content as a memory and owns it from now on, also if this throws. RESOURCE_EXHAUSTED past the limits of the node or the client. */
  keep(content: Content, form: Value, options: KeepOptions): KeptMemory;
  /** The content of a memory from its owner, whoever that is. Its end without an error says that it is whole, and right where its hash is known. */
  stream(memory: Memory, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The same value with its bytes instead of memories, in lists too. RESOURCE_EXHAUSTED above `maxBytes` in all. A value without memories comes back as it is. */
  pull(
    value: Value,
    options: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<Value>;
  /** Asks the owner of `destination` to pull the whole of `source` into its beginning. */
  copy(source: Capability, destination: Capability, options: CopyOptions): Promise<TransferEnd>;
  /** Writes into a memory, at this node or another. */
  write(
    destination: Capability,
    offset: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<TransferEnd>;
  /** Revokes at the owner. What is dead already, or belongs to an earlier life of its owner, is no error. */
  revoke(revoker: Capability, signal: AbortSignal): Promise<void>;
}
