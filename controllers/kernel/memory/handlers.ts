import { status } from '@grpc/grpc-js';

import type {
  AllocateRequest,
  AllocateResponse,
  CopyRequest,
  CopyResponse,
  ReadRequest,
  ReadResponse,
  WriteHeader,
  WriteRequest,
  WriteResponse,
} from '../../../protos/gen/fractory/v1/controller.js';
import { bytesValue } from '../../../protos/values.js';
import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { Limits } from '../../../config/limits.js';
import type { Clock } from '../../../runtime/clock.js';
import { FractoryError, invalidArgument, limitExceeded } from '../../../runtime/errors.js';
import { clientStream, serverStream, unary } from '../calls.js';
import type { CallContext, MethodHandler } from '../calls.js';
import type { MemoryAccess } from './access.js';
import { BufferContent } from './buffer-content.js';
import type { OwnMemories } from './own-memories.js';
import { TransferHash } from './transfer-hash.js';

/** Bytes of one message of `Read`: below what any client takes by default. */
const READ_CHUNK_BYTES = 256 * 1024;

export interface MemoryHandlersParts {
  readonly member: string;
  readonly own: OwnMemories;
  readonly memories: Pick<MemoryAccess, 'copy' | 'write'>;
  readonly limits: Pick<
    Limits,
    | 'default_lease_ms'
    | 'max_lease_ms'
    | 'max_chunk_bytes'
    | 'max_memory_bytes'
    | 'max_client_memory_bytes'
  >;
  readonly clock: Clock;
  /** Whom a call is counted to. */
  readonly clientOf: (context: CallContext) => string;
}

export type MemoryMethod = 'allocate' | 'read' | 'write' | 'copy';

/** The methods of `ControllerService` that are about memories. */
export function memoryHandlers(parts: MemoryHandlersParts): Record<MemoryMethod, MethodHandler> {
  return {
    allocate: unary((request: AllocateRequest, context) => allocate(parts, request, context)),
    read: serverStream((request: ReadRequest, context) => read(parts, request, context)),
    write: clientStream((requests: AsyncIterable<WriteRequest>, context) =>
      write(parts, requests, context),
    ),
    copy: unary((request: CopyRequest, context) => copy(parts, request, context)),
  };
}

function allocate(
  { own, limits, clock, clientOf }: MemoryHandlersParts,
  request: AllocateRequest,
  context: CallContext,
): AllocateResponse {
  const leaseMs = request.leaseMs || limits.default_lease_ms;
  if (leaseMs > limits.max_lease_ms)
    throw limitExceeded('max_lease_ms', leaseMs, limits.max_lease_ms, { what: 'lease_ms' });
  if (request.sizeBytes === 0n) throw invalidArgument('size_bytes', 'is 0; a memory has a size');
  // Before so much is asked of the machine.
  for (const limit of ['max_memory_bytes', 'max_client_memory_bytes'] as const)
    if (request.sizeBytes > BigInt(limits[limit]))
      throw limitExceeded(limit, request.sizeBytes, limits[limit], { what: 'size_bytes' });
  const client = clientOf(context);
  const sizeBytes = Number(request.sizeBytes);
  own.checkRoom(client, sizeBytes);
  const form = bytesValue('application/octet-stream', new Uint8Array(0));
  const kept = own.keep(BufferContent.zeroed(sizeBytes), form, {
    ...{ client, leaseMs, writable: true },
  });
  const expiresAtMs = BigInt(Math.ceil(clock.now() + leaseMs));
  return { capability: kept.memory.capability, revoker: kept.revoker, expiresAtMs };
}

async function* read(
  { own }: MemoryHandlersParts,
  request: ReadRequest,
  { signal }: CallContext,
): AsyncGenerator<ReadResponse, void> {
  const capability = present(request.capability, 'capability');
  const range = { offset: Number(request.offset), length: Number(request.length) };
  const open = own.openRead(capability, range);
  const hash = new TransferHash(request.sha256);
  for await (const chunk of open.chunks(READ_CHUNK_BYTES, signal)) {
    hash.add(chunk);
    yield { part: { $case: 'chunk', value: chunk } };
  }
  const end = { sizeBytes: BigInt(hash.sizeBytes), sha256: hash.sha256 };
  yield { part: { $case: 'end', value: end } };
}

async function write(
  { memories, member, limits }: MemoryHandlersParts,
  requests: AsyncIterable<WriteRequest>,
  { signal }: CallContext,
): Promise<WriteResponse> {
  const messages = requests[Symbol.asyncIterator]();
  const first = await messages.next();
  const header = headerOf(first.done ? undefined : first.value);
  const destination = present(header.capability, 'header.capability');
  checkOwner(destination, member);
  const chunks = chunksOf(messages, limits.max_chunk_bytes);
  return { end: await memories.write(destination, Number(header.offset), chunks, signal) };
}

async function copy(
  { memories, member }: MemoryHandlersParts,
  request: CopyRequest,
  { signal }: CallContext,
): Promise<CopyResponse> {
  const source = present(request.source, 'source');
  const destination = present(request.destination, 'destination');
  checkOwner(destination, member);
  const { sha256 } = request;
  return { end: await memories.copy(source, destination, { sha256, signal }) };
}

function headerOf(message: WriteRequest | undefined): WriteHeader {
  if (message?.part?.$case === 'header') return message.part.value;
  throw invalidArgument('header', 'must be the first message');
}

async function* chunksOf(
  messages: AsyncIterator<WriteRequest>,
  maxChunkBytes: number,
): AsyncGenerator<Uint8Array, void> {
  for (let next = await messages.next(); !next.done; next = await messages.next()) {
    const { part } = next.value;
    if (part?.$case !== 'chunk') throw invalidArgument('part', 'only chunks may follow the header');
    if (part.value.length > maxChunkBytes)
      throw limitExceeded('max_chunk_bytes', part.value.length, maxChunkBytes, { what: 'a chunk' });
    yield part.value;
  }
}

function present(capability: Capability | undefined, field: string): Capability {
  if (capability) return capability;
  throw invalidArgument(field, 'is missing');
}

/** A memory is written at its owner only; nobody forwards bytes. */
function checkOwner(destination: Capability, member: string): void {
  if (destination.owner === member) return;
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'STALE_OWNER',
    `the destination is a memory of ${destination.owner}, this is ${member}`,
  );
}
