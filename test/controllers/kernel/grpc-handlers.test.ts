import { EventEmitter, once } from 'node:events';

import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { ServiceError, UntypedHandleCall } from '@grpc/grpc-js';

import { CallRoom } from '../../../controllers/kernel/call-room.js';
import { clientStream, serverStream, unary } from '../../../controllers/kernel/calls.js';
import type { CallContext, MethodHandler } from '../../../controllers/kernel/calls.js';
import { grpcHandler } from '../../../controllers/kernel/grpc-handlers.js';
import {
  StorageServiceClient,
  StorageServiceService,
} from '../../../protos/gen/fractory/v1/storage.js';
import type { PutRequest, StatResponse } from '../../../protos/gen/fractory/v1/storage.js';
import { fromStatus } from '../../../protos/status.js';
import { ChannelPool } from '../../../runtime/channels.js';
import {
  FractoryError,
  invalidArgument,
  limitExceeded,
  unavailable,
} from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { assert, rejects, suite } from '../../suite.js';

const FILE = { client: 'admin', name: 'x' };
const CHUNK = new Uint8Array(256 * 1024);

interface Served extends AsyncDisposable {
  readonly client: StorageServiceClient;
  readonly stopping: AbortController;
  /** Status names of the calls that have ended. */
  readonly ended: string[];
  /** Resolves when that many calls have ended. */
  endedCalls(count: number): Promise<void>;
}

/** Serves these methods of StorageService behind a real server. */
async function serve(
  methods: Partial<Record<'stat' | 'put' | 'get', MethodHandler>>,
  limits: { budgetMs?: number; check?: () => void; most?: number } = {},
): Promise<Served> {
  const stopping = new AbortController();
  const ended: string[] = [];
  const events = new EventEmitter();
  const rules = {
    ...{ log: silentLogger(), stopping: stopping.signal },
    rooms: {
      calls: new CallRoom(limits.most ?? 100, 'calls under way'),
      streams: new CallRoom(100, 'streams'),
    },
    defaultBudgetMs: limits.budgetMs ?? 10_000,
    maxBudgetMs: limits.budgetMs ?? 10_000,
    check: limits.check ?? ((): void => undefined),
    ended: (_method: string, code: string): void => {
      ended.push(code);
      events.emit('ended');
    },
  };
  const handlers: Record<string, UntypedHandleCall> = {};
  for (const [name, handler] of Object.entries(methods))
    handlers[name] = grpcHandler(name, handler, rules);
  const server = new Server();
  server.addService(StorageServiceService, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  const pool = new ChannelPool();
  return {
    ...{ client: pool.client(StorageServiceClient, `127.0.0.1:${String(port)}`), stopping, ended },
    endedCalls: async (count) => {
      while (ended.length < count) await once(events, 'ended');
    },
    [Symbol.asyncDispose]: async () => {
      pool.close();
      server.forceShutdown();
      await Promise.resolve();
    },
  };
}

function stat(client: StorageServiceClient, timeoutMs?: number): Promise<StatResponse> {
  const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
  return new Promise((resolve, reject) => {
    client.stat(FILE, new Metadata(), options, (error, response) => {
      if (error) reject(fromStatus(error));
      else resolve(response);
    });
  });
}

const ANSWER: StatResponse = { file: undefined };

suite('unary calls', (test) => {
  test('an answer arrives', async () => {
    await using served = await serve({ stat: unary(() => ANSWER) });
    assert.equal(await stat(served.client), ANSWER);
    assert.equal(served.ended, ['OK']);
  });

  test('an error arrives with reason, metadata, violations and the time to wait', async () => {
    const errors = [
      new FractoryError(status.NOT_FOUND, 'FILE_NOT_FOUND', 'there is no file ä ☃'),
      invalidArgument('graph.steps[1].id', 'is missing'),
      limitExceeded('max_runs', 5, 4, { retryAfterMs: 1250 }),
      unavailable('NOT_LEADER', 'ask storage-2', { metadata: { address: '127.0.0.1:5' } }),
    ];
    const left = [...errors];
    await using served = await serve({
      stat: unary(() => {
        throw left.shift()!;
      }),
    });
    for (const expected of errors) {
      const { code, reason, message, metadata, violations, retryAfterMs } = expected;
      const error = await rejects(stat(served.client), FractoryError, { code, reason, message });
      assert.equal({ ...error.metadata }, { ...metadata });
      assert.is(error.retryAfterMs, retryAfterMs);
      assert.equal(
        error.violations.map(({ field, description }) => ({ field, description })),
        violations,
      );
    }
  });

  test('more calls than there is room for are refused with word when to come again', async () => {
    const events = new EventEmitter();
    const answered = once(events, 'answer').then(() => ANSWER);
    await using served = await serve({ stat: unary(() => answered) }, { most: 2 });
    const calls = [stat(served.client), stat(served.client)];
    const full = { code: status.RESOURCE_EXHAUSTED, reason: 'LIMIT_EXCEEDED' } as const;
    const error = await rejects(stat(served.client), FractoryError, full);
    assert.is(error.retryAfterMs, 100);
    assert.match(error.message, 'calls under way is 3, the limit max_invocations is 2');
    events.emit('answer');
    await Promise.all(calls);
    assert.equal(await stat(served.client), ANSWER, 'room is given back');
  });

  test('a bug is INTERNAL, and its text stays here', async () => {
    await using served = await serve({ stat: unary(() => Promise.reject(new Error('secret'))) });
    const error = await rejects(stat(served.client), FractoryError, { code: status.INTERNAL });
    assert.not.match(error.message, /secret/);
  });

  test('an error with a thousand violations of a thousand characters still arrives', async () => {
    const violations = Array.from({ length: 1000 }, (_, index) => ({
      field: `graph.steps[${String(index)}]`,
      description: '☃'.repeat(1000),
    }));
    const text = '☃'.repeat(100_000);
    const metadata = { fact: '☃'.repeat(100_000) };
    await using served = await serve({
      stat: unary(() => {
        throw new FractoryError(status.INVALID_ARGUMENT, 'BAD_GRAPH', text, {
          violations,
          metadata,
        });
      }),
    });
    const error = await rejects(stat(served.client), FractoryError, {
      code: status.INVALID_ARGUMENT,
      reason: 'BAD_GRAPH',
    });
    assert.ok(error.violations.length > 0);
  });

  test('a message that is cut within a character does not stop the node', async () => {
    const lengths = [999, 1000, 1999, 2000, 2001];
    await using served = await serve({
      stat: unary(() => {
        throw invalidArgument('name', 'x'.repeat(lengths.shift() ?? 0) + '😀'.repeat(2000));
      }),
    });
    while (lengths.length > 0)
      await rejects(stat(served.client), FractoryError, { code: status.INVALID_ARGUMENT });
  });

  test("the node's own limit ends a call that names no deadline", async () => {
    await using served = await serve(
      { stat: unary(() => new Promise(() => undefined)) },
      { budgetMs: 30 },
    );
    const error = await rejects(stat(served.client), FractoryError, {
      code: status.DEADLINE_EXCEEDED,
    });
    assert.match(error.message, /longer than 30 ms/);
    assert.equal(served.ended, ['DEADLINE_EXCEEDED']);
  });

  test('an answer that comes after the limit does no harm', async () => {
    let answer: (response: StatResponse) => void = () => undefined;
    await using served = await serve(
      { stat: unary(() => new Promise<StatResponse>((resolve) => (answer = resolve))) },
      { budgetMs: 30 },
    );
    await rejects(stat(served.client), FractoryError, { code: status.DEADLINE_EXCEEDED });
    answer(ANSWER);
    await new Promise((resolve) => setImmediate(resolve));
    const again = stat(served.client);
    await rejects(again, FractoryError, { code: status.DEADLINE_EXCEEDED });
  });

  test("the caller's deadline and its cancel abort the signal", async () => {
    const reasons: Promise<string>[] = [];
    let arrived: () => void = () => undefined;
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    await using served = await serve({
      stat: unary((_request, { signal, budgetMs }: CallContext) => {
        assert.ok(budgetMs <= 10_000);
        reasons.push(once(signal, 'abort').then(() => (signal.reason as FractoryError).reason));
        arrived();
        return new Promise(() => undefined);
      }),
    });
    const call = served.client.stat(FILE, () => undefined);
    await arrival;
    call.cancel();
    await rejects(stat(served.client, 40), FractoryError, { code: status.DEADLINE_EXCEEDED });
    assert.is(await reasons[0], 'CANCELLED');
    assert.ok(['CANCELLED', 'DEADLINE_EXCEEDED'].includes((await reasons[1])!));
  });

  test("the node's stop ends a call with UNAVAILABLE", async () => {
    await using served = await serve({ stat: unary(() => new Promise(() => undefined)) });
    const pending = stat(served.client);
    setTimeout(() => {
      served.stopping.abort(unavailable('NODE_STOPPING', 'the node is stopping'));
    }, 20);
    await rejects(pending, FractoryError, { reason: 'NODE_STOPPING' });
  });

  test('a caller who may not call never reaches the handler', async () => {
    const check = (): void => {
      throw new FractoryError(status.UNAUTHENTICATED, 'TOKEN_MISSING', 'who are you');
    };
    await using served = await serve(
      { stat: unary(() => Promise.reject(new Error('it was reached'))) },
      { check },
    );
    await rejects(stat(served.client), FractoryError, { reason: 'TOKEN_MISSING' });
  });
});

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
