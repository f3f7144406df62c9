import type { ReadRequest, TransferEnd } from '../../../protos/gen/fractory/v1/controller.js';
import type { MemoryAccess } from './access.js';

/** Takes the bytes of a transfer, chunk by chunk, in order. What a method throws ends the transfer with that error. */
export interface ChunkSink {
  /** The owner has admitted the read: this many bytes follow. Before it lends memory for them. */
  begin(sizeBytes: number): void;
  /** Lends exactly this much memory for the next bytes; it is theirs until `filled` of it has settled. */
  room(length: number): Uint8Array;
  /** The memory lent last is full. Reading pauses until the promise settles. */
  filled(chunk: Uint8Array): Promise<void> | void;
}

/** Memories of other controllers. */
export interface RemoteMemories extends Pick<MemoryAccess, 'copy' | 'write' | 'revoke'> {
  /** Reads from the owner of `request.capability`. */
  read(request: ReadRequest, sink: ChunkSink, signal: AbortSignal): Promise<TransferEnd>;
}
