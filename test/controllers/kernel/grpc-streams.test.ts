import { EventEmitter, once } from 'node:events';

import { Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';

import { clientStream, serverStream } from '../../../controllers/kernel/calls.js';
import type { PutRequest, StorageServiceClient } from '../../../protos/gen/fractory/v1/storage.js';
import { fromStatus } from '../../../protos/status.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { FILE, serve } from './served-methods.js';

const CHUNK = new Uint8Array(256 * 1024);

/** Reads an upload to its end and tells how it ended. */
function reader() {
  const events = new EventEmitter<{ settled: [string] }>();
  const outcome = once(events, 'settled').then(([text]) => text as string);
  const progress = new EventEmitter();
  const put = clientStream(async (requests: AsyncIterable<PutRequest>) => {
    let count = 0;
    try {
      for await (const { part } of requests) {
        if (part) count++;
        progress.emit('message', count);
      }
      events.emit('settled', `complete after ${String(count)}`);
    } catch (error) {
      events.emit('settled', `broken: ${error instanceof Error ? error.message : ''}`);
      throw error;
    }
    return { file: undefined };
  });
  return { put, outcome, progress };
}

function startPut(client: StorageServiceClient) {
  const events = new EventEmitter<{ settled: [ServiceError | null] }>();
  const outcome = once(events, 'settled').then(([error]) =>
    error ? fromStatus(error as ServiceError).code : status.OK,
  );
  const call = client.put((error) => events.emit('settled', error));
  call.on('error', () => undefined);
  return { call, outcome };
}

const chunk = { part: { $case: 'chunk' as const, value: CHUNK } };

suite('uploads', (test) => {
  test('all messages arrive and the end is seen', async () => {
    const { put, outcome } = reader();
    await using served = await serve({ put });
    const upload = startPut(served.client);
    for (let count = 0; count < 20; count++) upload.call.write(chunk);
    upload.call.end();
    assert.is(await outcome, 'complete after 20');
    assert.is(await upload.outcome, status.OK);
  });

  test('one that was cancelled never looks complete', async () => {
    const { put, outcome, progress } = reader();
    await using served = await serve({ put });
    const upload = startPut(served.client);
    upload.call.write(chunk);
    await once(progress, 'message');
    upload.call.cancel();
    assert.match(await outcome, /^broken/);
    assert.is(await upload.outcome, status.CANCELLED);
  });

  test('one whose client vanished never looks complete', async () => {
    const { put, outcome, progress } = reader();
    await using served = await serve({ put });
    const upload = startPut(served.client);
    for (let count = 0; count < 10; count++) upload.call.write(chunk);
    await once(progress, 'message');
    served.client.close();
    upload.call.cancel();
    assert.match(await outcome, /^broken/);
  });

  test("one that the node's limit ended never looks complete", async () => {
    const { put, outcome } = reader();
    await using served = await serve({ put }, { budgetMs: 50 });
    const upload = startPut(served.client);
    upload.call.write(chunk);
    assert.is(await upload.outcome, status.DEADLINE_EXCEEDED);
    assert.match(await outcome, /^broken/);
  });
});

suite('downloads', (test) => {
  const message = { part: { $case: 'chunk' as const, value: CHUNK } };

  test('back-pressure: a slow reader holds the producer back', async () => {
    let produced = 0;
    await using served = await serve({
      // eslint-disable-next-line @typescript-eslint/require-await -- a stream without waiting
      get: serverStream(async function* () {
        for (; produced < 400; produced++) yield message;
      }),
    });
    const messages = served.client.get(FILE)[Symbol.asyncIterator]();
    // grpc-js buffers without end until the first read.
    await messages.next();
    const seen = async (): Promise<number> => {
      // Until it stands still.
      for (let last = -1; last !== produced;) {
        last = produced;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return produced;
    };
    const first = await seen();
    assert.ok(first < 200, `${String(first)} messages of 256 KiB were produced for nobody`);
    let received = 1;
    while ((await messages.next()).done !== true) received++;
    assert.equal([received, produced], [400, 400]);
  });

  test('a cancel ends the producer', async () => {
    let returned: () => void = () => undefined;
    const end = new Promise<void>((resolve) => (returned = resolve));
    await using served = await serve({
      // eslint-disable-next-line @typescript-eslint/require-await -- a stream without waiting
      get: serverStream(async function* () {
        try {
          for (;;) yield message;
        } finally {
          returned();
        }
      }),
    });
    const call = served.client.get(FILE);
    call.on('error', () => undefined);
    await once(call, 'data');
    call.cancel();
    await end;
    await served.endedCalls(1);
    assert.equal(served.ended, ['CANCELLED']);
  });

  test('an error in the middle arrives after what was sent before', async () => {
    await using served = await serve({
      // eslint-disable-next-line @typescript-eslint/require-await -- a stream without waiting
      get: serverStream(async function* () {
        yield message;
        throw new FractoryError(status.DATA_LOSS, 'BROKEN_FILE', 'a byte has changed');
      }),
    });
    let received = 0;
    const read = async (): Promise<void> => {
      try {
        for await (const message of served.client.get(FILE)) if (message) received++;
      } catch (error) {
        throw fromStatus(error as ServiceError);
      }
    };
    await rejects(read(), FractoryError, { code: status.DATA_LOSS, reason: 'BROKEN_FILE' });
    assert.is(received, 1);
  });

  test("a stream that ends itself outlives the node's limit, but not the caller's deadline", async () => {
    await using served = await serve(
      {
        get: serverStream(
          async function* () {
            await new Promise((resolve) => setTimeout(resolve, 80));
            yield message;
          },
          { endsItself: true },
        ),
      },
      { budgetMs: 30 },
    );
    let received = 0;
    for await (const message of served.client.get(FILE)) if (message) received++;
    assert.is(received, 1);
    const late = served.client.get(FILE, new Metadata(), { deadline: Date.now() + 30 });
    late.resume();
    const [error] = (await once(late, 'error')) as [ServiceError];
    assert.is(error.code, status.DEADLINE_EXCEEDED);
  });

  test('a producer that ignores its signal holds nobody up', async () => {
    await using served = await serve(
      {
        get: serverStream(async function* () {
          yield message;
          await new Promise(() => undefined);
        }),
      },
      { budgetMs: 50 },
    );
    const call = served.client.get(FILE);
    call.resume();
    const [error] = (await once(call, 'error')) as [ServiceError];
    assert.is(fromStatus(error).code, status.DEADLINE_EXCEEDED);
  });
});
