import { status } from '@grpc/grpc-js';

import { Runner } from '../../../controllers/application/runner.js';
import { RunState, Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { RunEnded, RunEvent } from '../../../protos/gen/fractory/v1/application.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue } from '../../../protos/values.js';
import { cancelled, FractoryError, unavailable } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { RunRecord } from '../../../services/application/run-record.js';
import type { RunOptions } from '../../../services/application/run-record.js';
import { assert, suite } from '../../suite.js';
import { chain, graph, one, step } from '../../services/application/graphs.js';
import { increment, operation } from '../kernel/kernels.js';
import { MemoryAccess } from './kernel-access.js';

const hang = operation('math.add', () => new Promise<Value>(() => undefined));

function start(access: MemoryAccess, fields: Partial<RunOptions> = {}) {
  const run = new RunRecord({
    ...{ id: 'r', graph: chain(4, 1n), topology: Topology.RING, budgetMs: 5000, startedAtMs: 1 },
    ...fields,
  });
  const runner = new Runner(access, silentLogger());
  return { run, runner, ended: runner.execute(run) };
}

async function finish(access: MemoryAccess, fields: Partial<RunOptions> = {}): Promise<RunEnded> {
  const { run, ended } = start(access, fields);
  await ended;
  return run.ended!;
}

async function eventsOf(run: RunRecord): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of run.events(new AbortController().signal)) events.push(event);
  return events;
}

/** Resolves when the run has been tried that often. */
async function attempted(run: RunRecord, attempts: number): Promise<void> {
  for await (const { event } of run.events(new AbortController().signal))
    if (event?.$case === 'attempted' && event.value.attempt === attempts) break;
  // The invocation leaves after the event.
  await new Promise((resolve) => setImmediate(resolve));
}

suite('runner', (test) => {
  test('ring and star have the same result and receipts', async () => {
    for (const topology of [Topology.RING, Topology.STAR]) {
      await using access = new MemoryAccess();
      access.join('math-1', [increment], 1);
      access.join('math-2', [increment], 2);
      const { run, ended } = start(access, { topology });
      await ended;
      const { state, result, attempts, receipts } = run.ended!;
      assert.equal([state, result, attempts], [RunState.SUCCEEDED, integerValue(5n), 1]);
      assert.equal(
        receipts.map((receipt) => [receipt.step, receipt.member]),
        [
          ['s0', 'math-1'],
          ['s1', 'math-2'],
          ['s2', 'math-1'],
          ['s3', 'math-2'],
        ],
      );
      const back = access.world.carried.filter(
        (invocation) => invocation.capability?.owner === 'application-1',
      );
      assert.is(back.length, topology === Topology.STAR ? 4 : 1);
      assert.is(access.listeners, 0);
    }
  });

  test('a run on a member that is lost is tried again elsewhere, with fresh capabilities', async () => {
    for (const topology of [Topology.RING, Topology.STAR]) {
      const access = new MemoryAccess();
      access.join('math-1', [hang], 1);
      const { run, ended } = start(access, { topology });
      await attempted(run, 1);
      access.join('math-2', [increment], 2);
      access.lose('math-1');
      await ended;
      const { state, attempts, result } = run.ended!;
      assert.equal([state, attempts, result], [RunState.SUCCEEDED, 2, integerValue(5n)]);
      assert.equal(access.suspected, ['math-1']);
      const events = await eventsOf(run);
      assert.equal(
        events.map(({ event }) => event?.$case),
        ['attempted', 'attempted', 'ended'],
      );
      const second = events[1]?.event;
      assert.ok(second?.$case === 'attempted' && /math-1 was lost/.test(second.value.cause));
      assert.is(access.listeners, 0);
      assert.is(access.world.place('application-1').objects.size, 0);
    }
  });

  test('what was done before the loss is not done again by the member that did it', async () => {
    const access = new MemoryAccess();
    let done = 0;
    const count = operation('math.add', (args) => {
      done++;
      return Promise.resolve(args.get('input')!);
    });
    access.join('math-1', [count]);
    access.world.add('storage-1', [
      operation('storage.hang', () => new Promise<Value>(() => undefined)),
    ]);
    access.join('storage-1', [
      operation('storage.hang', () => new Promise<Value>(() => undefined)),
    ]);
    const two = graph([step('a', 'math.add', { input: one }), step('b', 'storage.hang')], 'a>b');
    const { run, ended } = start(access, { graph: two });
    await attempted(run, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    access.join('storage-2', [operation('storage.hang', (args) => args.get('input')!)], 2);
    access.lose('storage-1');
    await ended;
    assert.equal([run.ended?.state, done], [RunState.SUCCEEDED, 1]);
    assert.equal(
      run.ended?.receipts.map((receipt) => receipt.reused),
      [true, false],
    );
  });

  test('an error of the request itself is not tried again', async () => {
    await using access = new MemoryAccess();
    const refuse = operation('math.add', () => {
      throw new FractoryError(status.INVALID_ARGUMENT, 'NOT_AN_INTEGER', 'x is not an integer');
    });
    access.join('math-1', [refuse]);
    const { state, attempts, failure } = await finish(access);
    assert.equal([state, attempts, failure?.reason], [RunState.FAILED, 1, 'NOT_AN_INTEGER']);
    assert.equal([failure?.step, failure?.member], ['s0', 'math-1']);
  });

  test('a graph that does not fit the operations is not tried at all', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment]);
    const { run, ended } = start(access, { graph: chain(2, 1n, 'math.sub') });
    await ended;
    assert.equal([run.ended?.state, run.ended?.failure?.reason], [RunState.FAILED, 'BAD_GRAPH']);
    assert.equal(
      (await eventsOf(run)).map(({ event }) => event?.$case),
      ['ended'],
    );
  });

  test('an UNAVAILABLE answer is tried again', async () => {
    await using access = new MemoryAccess();
    let left = 2;
    const flaky = operation('math.add', () => {
      if (left-- > 0) throw unavailable('NODE_STOPPING', 'the node is stopping');
      return integerValue(9n);
    });
    access.join('math-1', [flaky]);
    const { state, attempts } = await finish(access, { graph: chain(1, 1n) });
    assert.equal([state, attempts], [RunState.SUCCEEDED, 3]);
  });

  test('a member that does not answer a connect is passed over', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment], 1);
    access.join('math-2', [increment], 2);
    access.beforeConnect = ({ id }) => {
      if (id === 'math-1') throw unavailable('OWNER_LOST', 'math-1 does not answer');
    };
    const { state, receipts } = await finish(access);
    assert.is(state, RunState.SUCCEEDED);
    assert.equal(new Set(receipts.map(({ member }) => member)), new Set(['math-2']));
    assert.equal(access.suspected, ['math-1']);
  });

  test('waits for the first member of a type', async () => {
    await using access = new MemoryAccess();
    const { run, ended } = start(access);
    setTimeout(() => {
      access.join('math-1', [increment]);
    }, 30);
    await ended;
    assert.is(run.ended?.state, RunState.SUCCEEDED);
    assert.ok((run.ended?.attempts ?? 0) > 1);
  });

  test('a cancel ends it as cancelled, once', async () => {
    for (const topology of [Topology.RING, Topology.STAR]) {
      const access = new MemoryAccess();
      access.join('math-1', [hang]);
      const { run, ended } = start(access, { topology });
      await attempted(run, 1);
      run.cancel(cancelled('run r was cancelled'));
      await ended;
      assert.equal([run.state, run.ended?.failure?.code], [RunState.CANCELLED, status.CANCELLED]);
      assert.equal([access.listeners, access.world.place('application-1').objects.size], [0, 0]);
    }
  });

  test('a cancel while it waits for a member ends it too', async () => {
    await using access = new MemoryAccess();
    const { run, ended } = start(access);
    run.cancel(cancelled('run r was cancelled'));
    await ended;
    assert.is(run.state, RunState.CANCELLED);
  });

  test('the end of the budget ends it as timed out', async () => {
    const access = new MemoryAccess();
    access.join('math-1', [hang]);
    const { state, failure } = await finish(access, { budgetMs: 60 });
    assert.equal([state, failure?.code], [RunState.TIMED_OUT, status.DEADLINE_EXCEEDED]);
    assert.match(failure?.message ?? '', /budget of 60 ms/);
    assert.is(access.listeners, 0);
  });

  test('the stop of the node ends it as failed', async () => {
    const access = new MemoryAccess();
    access.join('math-1', [hang]);
    const { run, runner, ended } = start(access);
    await attempted(run, 1);
    runner.stop();
    await ended;
    assert.equal([run.state, run.ended?.failure?.reason], [RunState.FAILED, 'NODE_STOPPING']);
  });

  test('a new epoch of the application node makes another attempt', async () => {
    const access = new MemoryAccess();
    let first = true;
    const hangOnce = operation('math.add', () => {
      if (!first) return integerValue(3n);
      first = false;
      return new Promise<Value>(() => undefined);
    });
    access.join('math-1', [hangOnce]);
    const { run, ended } = start(access, { graph: chain(1, 1n) });
    await attempted(run, 1);
    access.beginEpoch(2n);
    await ended;
    assert.equal([run.state, run.ended?.attempts], [RunState.SUCCEEDED, 2]);
    assert.is(access.listeners, 0);
  });
});
