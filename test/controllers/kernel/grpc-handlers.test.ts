import { EventEmitter, once } from 'node:events';

import { Metadata, status } from '@grpc/grpc-js';

import { unary } from '../../../controllers/kernel/calls.js';
import type { CallContext } from '../../../controllers/kernel/calls.js';
import type {
  StatResponse,
  StorageServiceClient,
} from '../../../protos/gen/fractory/v1/storage.js';
import { fromStatus } from '../../../protos/status.js';
import {
  FractoryError,
  invalidArgument,
  limitExceeded,
  unavailable,
} from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { FILE, serve } from './served-methods.js';

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

  test('calls that are held back are among them, and give their room back', async () => {
    const events = new EventEmitter();
    const ready = once(events, 'ready').then(() => undefined);
    const held: Promise<void>[] = [];
    await using served = await serve(
      { stat: unary(() => ANSWER) },
      {
        most: 2,
        ready: () => {
          held.push(ready);
          events.emit('held');
          return ready;
        },
      },
    );
    const calls = [stat(served.client), stat(served.client)];
    while (held.length < 2) await once(events, 'held');
    const error = await rejects(stat(served.client, 1000), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
    });
    assert.is(error.retryAfterMs, 100);
    events.emit('ready');
    await Promise.all(calls);
    assert.equal(await stat(served.client), ANSWER, 'room is given back');
  });

  test('whoever may not call is not held back', async () => {
    await using served = await serve(
      { stat: unary(() => ANSWER) },
      {
        ready: () => {
          throw new FractoryError(status.UNAUTHENTICATED, 'NO_TOKEN', 'there is no token');
        },
      },
    );
    await rejects(stat(served.client), FractoryError, { code: status.UNAUTHENTICATED });
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
    let arrived: () => void = () => undefined;
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    const hanging = unary(() => {
      arrived();
      return new Promise(() => undefined);
    });
    await using served = await serve({ stat: hanging });
    const pending = stat(served.client);
    await arrival;
    served.stopping.abort(unavailable('NODE_STOPPING', 'the node is stopping'));
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
