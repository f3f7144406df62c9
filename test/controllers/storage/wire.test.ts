import { EventEmitter, once } from 'node:events';

import { Server, status } from '@grpc/grpc-js';
import type { ServiceError, UntypedHandleCall } from '@grpc/grpc-js';

import { ChannelPool } from '../../../runtime/channels.js';
import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { StorageServiceClient } from '../../../protos/gen/fractory/v1/storage.js';
import type {
  PutResponse,
  StorageServiceGetResponse,
} from '../../../protos/gen/fractory/v1/storage.js';
import { fromStatus } from '../../../protos/status.js';
import { grpcHandler } from '../../../controllers/kernel/grpc-handlers.js';
import { storageService } from '../../../controllers/storage/service.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { serveOnLoopback } from '../../loopback-server.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, openStore, readText } from '../../services/storage/fixture.js';
import type { Fixture } from '../../services/storage/fixture.js';

const CHUNK = Buffer.alloc(256 * 1024, 'x');

/** The service behind a real server, and a client of it. */
async function serve(fixture: Fixture) {
  const stopping = new AbortController();
  const service = storageService(fixture.store, DEFAULT_STORAGE_LIMITS);
  const handlers: Record<string, UntypedHandleCall> = {};
  for (const [name, handler] of Object.entries(service.handlers))
    handlers[name] = grpcHandler(name, handler, {
      log: silentLogger(),
      defaultBudgetMs: 10_000,
      maxBudgetMs: 10_000,
      stopping: stopping.signal,
      check: () => undefined,
      ended: () => undefined,
    });
  const server = new Server();
  server.addService(service.definition, handlers);
  const port = await serveOnLoopback(server);
  const pool = new ChannelPool();
  return {
    client: pool.client(StorageServiceClient, `127.0.0.1:${String(port)}`),
    [Symbol.asyncDispose]: async () => {
      pool.close();
      await new Promise((resolve) => {
        server.tryShutdown(resolve);
      });
    },
  };
}

function pendingAnswer() {
  const answers = new EventEmitter<{ settled: [ServiceError | null, PutResponse] }>();
  const promise = once(answers, 'settled').then((settled) => {
    const [error, response] = settled as [ServiceError | null, PutResponse];
    if (error) throw fromStatus(error);
    return response;
  });
  const settle = (error: ServiceError | null, response: PutResponse): void => {
    answers.emit('settled', error, response);
  };
  return { promise, settle };
}

async function put(client: StorageServiceClient, chunks: number): Promise<PutResponse> {
  const { promise: answer, settle } = pendingAnswer();
  const call = client.put(settle);
  call.write({ part: { $case: 'header', value: { ...CAT, mediaType: '', sha256: '' } } });
  for (let sent = 0; sent < chunks; sent++)
    if (!call.write({ part: { $case: 'chunk', value: CHUNK } })) await once(call, 'drain');
  call.end();
  return answer;
}

suite('storage over gRPC', (test) => {
  test(
    '64 MiB travel up and down',
    async () => {
      await using fixture = await openStore();
      await using served = await serve(fixture);
      const { file } = await put(served.client, 256);
      assert.is(file?.sizeBytes, 64n * 1024n ** 2n);
      let bytes = 0;
      const parts = served.client.get(CAT) as AsyncIterable<StorageServiceGetResponse>;
      for await (const { part } of parts) if (part?.$case === 'chunk') bytes += part.value.length;
      assert.is(bytes, 64 * 1024 ** 2);
    },
    { timeoutMs: 60_000 },
  );

  test('a put that its caller cancels leaves the old content and no temporary file', async () => {
    await using fixture = await openStore();
    await fixture.store.write(CAT, [Buffer.from('old')]);
    await using served = await serve(fixture);
    const answer = new Promise<ServiceError | null>((resolve) => {
      const call = served.client.put((error) => {
        resolve(error);
      });
      call.write({ part: { $case: 'header', value: { ...CAT, mediaType: '', sha256: '' } } });
      call.write({ part: { $case: 'chunk', value: CHUNK } }, () => {
        call.cancel();
      });
    });
    assert.is((await answer)?.code, status.CANCELLED);
    while (fixture.store.transfers > 0) await new Promise(setImmediate);
    assert.equal(await fixture.temporaries('admin'), []);
    assert.is(await readText(fixture.store, CAT), 'old');
  });

  test('an error arrives with its code, reason and facts', async () => {
    await using fixture = await openStore();
    await using served = await serve(fixture);
    const answer = new Promise((_, reject) => {
      served.client.stat(CAT, (error) => {
        reject(error ? fromStatus(error) : new Error('no error'));
      });
    });
    await rejects(answer, FractoryError, { code: status.NOT_FOUND, reason: 'FILE_NOT_FOUND' });
  });
});
