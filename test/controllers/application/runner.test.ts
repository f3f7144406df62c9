import { status } from '@grpc/grpc-js';

import { RunState, Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue } from '../../../protos/values.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { assert, suite } from '../../suite.js';
import { chain, graph, one, step } from '../../services/application/graphs.js';
import { increment, operation } from '../kernel/kernels.js';
import { attempted, finish, hang, start } from './begun-runs.js';
import { MemoryAccess } from './kernel-access.js';
import { Operations } from './operations.js';
import { eventsOf } from './owners.js';

suite('a run whose member is missing', (test) => {
  test('waits as long as it has time where the type was there lately', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment]);
    access.lose('math-1');
    const { run, ended } = start(access, { budgetMs: 300 });
    await ended;
    assert.is(run.ended?.state, RunState.TIMED_OUT);
    assert.match(
      run.ended?.failure?.message ?? '',
      /no math node is registered \(the last one went/,
    );
  });

  test('steps aside, and waits for its turn when the member is back', async () => {
    await using access = new MemoryAccess();
    const { run, ended } = start(access);
    const order: string[] = [];
    let makeRoom = (): void => undefined;
    const isAside = new Promise<void>((resolve) => {
      run.occupy({
        leave: () => {
          order.push('aside');
          resolve();
        },
        comeBack: () => {
          order.push('back');
          return new Promise((done) => (makeRoom = done));
        },
      });
    });
    await isAside;
    access.join('math-1', [increment], 1);
    while (!order.includes('back')) await new Promise((resolve) => setImmediate(resolve));
    assert.is(access.world.carried.length, 0);
    makeRoom();
    await ended;
    assert.equal([run.ended?.state, order], [RunState.SUCCEEDED, ['aside', 'back']]);
  });
});

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
    let begun: () => void = () => undefined;
    const beginning = new Promise<void>((resolve) => (begun = resolve));
    const hanging = operation('storage.hang', () => {
      begun();
      return new Promise<Value>(() => undefined);
    });
    access.join('storage-1', [hanging]);
    const two = graph([step('a', 'math.add', { input: one }), step('b', 'storage.hang')], 'a>b');
    const { run, ended } = start(access, { graph: two });
    await beginning;
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
    const looked = new Promise<void>((resolve) => {
      const pick = access.pick.bind(access);
      access.pick = (type) => {
        resolve();
        return pick(type);
      };
    });
    const { run, ended } = start(access);
    await looked;
    access.join('math-1', [increment]);
    await ended;
    assert.is(run.ended?.state, RunState.SUCCEEDED);
    assert.ok((run.ended?.attempts ?? 0) > 1);
  });

  test('receipts that nobody can read are left out, and the run ends all the same', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment], 1);
    const { addReply } = access;
    access.addReply = (settle, ends) =>
      addReply((outcome) => {
        settle({ ...outcome, receipts: [Uint8Array.of(0x0a, 0xff), ...outcome.receipts] });
      }, ends);
    const { state, receipts } = await finish(access);
    assert.equal([state, receipts.length], [RunState.SUCCEEDED, 4]);
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

  test('receipts that come by two paths are there once', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', new Operations().all);
    const sent = graph(
      [step('a', 'math.add', { input: one }), step('b'), step('c')],
      ...['a>b', 'a>c'],
    );
    const { receipts } = await finish(access, { graph: sent });
    assert.equal(receipts.map((receipt) => receipt.step).sort(), ['a', 'b', 'c']);
  });
});
