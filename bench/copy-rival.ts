import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerWritableStream } from '@grpc/grpc-js';

import { channelOptions } from '../runtime/channels.js';
import { COPY_BYTES, COPY_CHUNK_BYTES } from './copy-sizes.js';
import type { CopyOrder } from './copy-sizes.js';

// What a memory copy is measured against, in a process of its own: `serve` has 64 MiB, `fetch` gets them into a buffer of its own when it is told to.
// Both end with their channel to the parent.

const same = (bytes: Buffer): Buffer => bytes;
const METHOD = {
  path: '/fractory.bench.Copy/Read',
  requestStream: false as const,
  responseStream: true as const,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

const content = Buffer.alloc(COPY_BYTES, 7);

function* chunks(): Generator<Buffer> {
  for (let at = 0; at < content.length; at += COPY_CHUNK_BYTES)
    yield content.subarray(at, at + COPY_CHUNK_BYTES);
}

interface Sink {
  write(chunk: Buffer): boolean;
  once(event: 'drain', listener: () => void): unknown;
  end(): unknown;
}

/** Writes all chunks, waiting whenever the sink says so. */
function send(sink: Sink): void {
  const source = chunks();
  const more = (): void => {
    for (const chunk of source)
      if (!sink.write(chunk)) {
        sink.once('drain', more);
        return;
      }
    sink.end();
  };
  // A generator is ended by leaving its loop early: keep it open.
  source.return = () => ({ done: true, value: undefined });
  more();
}

async function serve(): Promise<{ grpc: number; tcp: number }> {
  const server = new Server(channelOptions);
  const read = (call: ServerWritableStream<Buffer, Buffer>): void => {
    send(call);
  };
  server.addService({ read: METHOD }, { read });
  const grpc = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
  const plain = createServer({ noDelay: true }, send);
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  return { grpc, tcp: (plain.address() as AddressInfo).port };
}

let client: Client | undefined;

async function fetchGrpc(port: number, target: Buffer): Promise<number> {
  client ??= new Client(`127.0.0.1:${String(port)}`, credentials.createInsecure(), channelOptions);
  const call = client.makeServerStreamRequest(METHOD.path, same, same, Buffer.alloc(0));
  let at = 0;
  for await (const chunk of call) {
    target.set(chunk as Buffer, at);
    at += (chunk as Buffer).length;
  }
  return at;
}

function fetchTcp(port: number, target: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let at = 0;
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('data', (chunk: Buffer) => {
      target.set(chunk, at);
      at += chunk.length;
    });
    socket.on('end', () => {
      resolve(at);
    });
    socket.on('error', reject);
  });
}

const target = Buffer.alloc(COPY_BYTES, 1);

async function fetch({ kind, port }: CopyOrder): Promise<number> {
  const startedAt = performance.now();
  const bytes = await (kind === 'grpc' ? fetchGrpc(port, target) : fetchTcp(port, target));
  const tookMs = performance.now() - startedAt;
  if (bytes !== COPY_BYTES || target[bytes - 1] !== 7)
    throw new Error(`${String(bytes)} bytes arrived`);
  target.fill(1);
  return tookMs;
}

process.on('disconnect', () => process.exit(0));
if (process.argv[2] === 'serve') process.send?.(await serve());
else
  process.on('message', (order: CopyOrder) => {
    void fetch(order).then((tookMs) => process.send?.(tookMs));
  });
