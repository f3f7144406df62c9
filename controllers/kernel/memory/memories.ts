import { setMaxListeners } from 'node:events';

import { status } from '@grpc/grpc-js';

import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { ReadRequest, TransferEnd } from '../../../protos/gen/fractory/v1/controller.js';
import type { Memory, Value } from '../../../protos/gen/fractory/v1/value.js';
import { AbortScope } from '../../../runtime/abort-scope.js';
import { cancelled, FractoryError } from '../../../runtime/errors.js';
import type { Content } from '../../../services/content.js';
import type { CopyOptions, KeepOptions, KeptMemory, MemoryAccess } from './access.js';
import type { OpenRead } from './open-memory.js';
import type { MemoryObjects, OwnMemories } from './own-memories.js';
import type { RemoteMemories } from './remote-memories.js';
import { BufferSink, checkRoom, StreamSink, WriteSink } from './sinks.js';
import { TransferHash } from './transfer-hash.js';
import { materialize } from './value-content.js';

/** Chunks of what is read on this node, bytes: long enough to be cheap, short enough to let others in between. */
const CHUNK_BYTES = 512 * 1024;

export interface MemoriesOptions {
  readonly member: string;
  readonly objects: Pick<MemoryObjects, 'revoke'>;
  readonly own: OwnMemories;
  readonly remote: RemoteMemories;
}

/** Memories, wherever they are: those of this node directly, others through their owners. */
export class Memories implements MemoryAccess {
  readonly #options: MemoriesOptions;

  constructor(options: MemoriesOptions) {
    this.#options = options;
  }

  keep(content: Content, form: Value, options: KeepOptions): KeptMemory {
    return this.#options.own.keep(content, form, options);
  }

  async *stream(memory: Memory, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const capability = capabilityOf(memory);
    const sizeBytes = Number(memory.sizeBytes);
    const hash = new TransferHash(memory.sha256.length > 0);
    if (this.#isOwn(capability)) yield* this.#ownChunks(memory, hash, signal);
    else if (sizeBytes > 0) yield* this.#remoteChunks(memory, hash, signal);
    hash.expect(nameOf(capability), sizeBytes, memory.sha256);
  }

  async pull(
    value: Value,
    { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<Value> {
    const scope = new AbortScope(signal);
    // As many as there are memories in the value.
    setMaxListeners(0, scope.signal);
    try {
      return await materialize(value, maxBytes, (memory) => this.#fetch(memory, scope.signal));
    } finally {
      // What else is under way when one fails is no use to anybody.
      scope.abort(cancelled('the pull has ended'));
      scope.end();
    }
  }

  async copy(
    source: Capability,
    destination: Capability,
    options: CopyOptions,
  ): Promise<TransferEnd> {
    if (!this.#isOwn(destination)) return this.#options.remote.copy(source, destination, options);
    return this.#isOwn(source)
      ? this.#copyHere(source, destination, options)
      : this.#copyFrom(source, destination, options);
  }

  async write(
    destination: Capability,
    offset: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<TransferEnd> {
    if (!this.#isOwn(destination))
      return this.#options.remote.write(destination, offset, chunks, signal);
    const target = this.#options.own.openWrite(destination, offset);
    const hash = new TransferHash(true);
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      await target.write(chunk);
      hash.add(chunk);
    }
    return endOf(hash);
  }

  async revoke(revoker: Capability, signal: AbortSignal): Promise<void> {
    try {
      if (this.#isOwn(revoker)) this.#options.objects.revoke(revoker);
      else await this.#options.remote.revoke(revoker, signal);
    } catch (error) {
      if (!isOver(error)) throw error;
    }
  }

  #isOwn(capability: Capability): boolean {
    return capability.owner === this.#options.member;
  }

  async *#ownChunks(
    memory: Memory,
    hash: TransferHash,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of this.#openWhole(memory).chunks(CHUNK_BYTES, signal)) {
      hash.add(chunk);
      yield chunk;
    }
  }

  async *#remoteChunks(
    memory: Memory,
    hash: TransferHash,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    const sink = new StreamSink(Number(memory.sizeBytes), hash);
    const scope = new AbortScope(signal);
    const onAbort = (): void => {
      sink.end({ error: scope.signal.reason });
    };
    scope.signal.addEventListener('abort', onAbort);
    const reading = this.#options.remote.read(wholeOf(memory), sink, scope.signal).then(
      () => {
        sink.end();
      },
      (error: unknown) => {
        sink.end({ error });
      },
    );
    try {
      yield* sink.chunks();
    } finally {
      scope.abort(cancelled('the reader has stopped'));
      scope.end();
      await reading;
    }
  }

  async #fetch(memory: Memory, signal: AbortSignal): Promise<Uint8Array> {
    const capability = capabilityOf(memory);
    const sizeBytes = Number(memory.sizeBytes);
    const target = Buffer.allocUnsafeSlow(sizeBytes);
    const hash = new TransferHash(memory.sha256.length > 0);
    if (this.#isOwn(capability)) {
      let at = 0;
      for await (const chunk of this.#ownChunks(memory, hash, signal)) {
        target.set(chunk, at);
        at += chunk.length;
      }
    } else if (sizeBytes > 0)
      await this.#options.remote.read(wholeOf(memory), new BufferSink(target, hash), signal);
    hash.expect(nameOf(capability), sizeBytes, memory.sha256);
    return target;
  }

  #openWhole(memory: Memory): OpenRead {
    const { own } = this.#options;
    const range = { offset: 0, length: Number(memory.sizeBytes) };
    return own.openRead(capabilityOf(memory), range, { exact: true });
  }

  async #copyHere(
    source: Capability,
    destination: Capability,
    { sha256, signal }: CopyOptions,
  ): Promise<TransferEnd> {
    const { own } = this.#options;
    const from = own.openRead(source, { offset: 0, length: 0 });
    const to = own.openWrite(destination, 0);
    checkRoom(from.sizeBytes, to);
    const hash = new TransferHash(sha256 ?? false);
    for await (const chunk of from.chunks(CHUNK_BYTES, signal)) {
      await to.write(chunk);
      hash.add(chunk);
    }
    return endOf(hash);
  }

  async #copyFrom(
    source: Capability,
    destination: Capability,
    { sha256 = false, signal }: CopyOptions,
  ): Promise<TransferEnd> {
    const hash = new TransferHash(sha256);
    const sink = new WriteSink(this.#options.own.openWrite(destination, 0), hash);
    const request = { capability: source, offset: 0n, length: 0n, sha256 };
    const told = await this.#options.remote.read(request, sink, signal);
    hash.expect(nameOf(source), Number(told.sizeBytes), told.sha256);
    return endOf(hash);
  }
}

function endOf(hash: TransferHash): TransferEnd {
  return { sizeBytes: BigInt(hash.sizeBytes), sha256: hash.sha256 };
}

function capabilityOf({ capability }: Memory): Capability {
  if (capability) return capability;
  throw new FractoryError(
    status.PERMISSION_DENIED,
    'CAPABILITY_DENIED',
    'the memory comes without a capability',
  );
}

/** Asks for as much as the memory says: an owner who has another amount refuses. */
function wholeOf(memory: Memory): ReadRequest {
  const { sizeBytes } = memory;
  return { capability: capabilityOf(memory), offset: 0n, length: sizeBytes, sha256: false };
}

function nameOf({ owner, object }: Capability): string {
  return `memory ${String(object)} of ${owner}`;
}

/** Whether there is nothing left to revoke. */
function isOver(error: unknown): boolean {
  return (
    error instanceof FractoryError &&
    (error.reason === 'CAPABILITY_REVOKED' || error.reason === 'STALE_OWNER')
  );
}
