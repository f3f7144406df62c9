import { status } from '@grpc/grpc-js';

import { RunState, Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import { integerValue, listValue } from '../../../protos/values.js';
import { cancelled, unavailable } from '../../../runtime/errors.js';
import { assert, suite } from '../../suite.js';
import { chain, graph, map, one, step } from '../../services/application/graphs.js';
import { operation } from '../kernel/kernels.js';
import { finish, start } from './begun-runs.js';
import { MemoryAccess } from './kernel-access.js';
import { Operations } from './operations.js';

suite('what a run leaves behind', (test) => {
  const blob = (bytes: bigint): Graph =>
    graph([step('b', 'math.blob', { input: integerValue(bytes) })]);

  test('a success without anything kept is released nowhere', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', new Operations().all);
    await finish(access);
    assert.equal(access.released, []);
  });

  test('after a success the steps whose results are kept are released, as ended', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', new Operations().all);
    access.join('math-2', new Operations().all, 2);
    const sent = graph([...blob(100_000n).steps, step('n', 'math.length')], 'b>n');
    const { state } = await finish(access, { graph: sent });
    assert.is(state, RunState.SUCCEEDED);
    assert.equal(
      access.released.map(({ member, ended, attempt, capabilities }) => [
        ...[member, ended, attempt, capabilities.length],
      ]),
      [['math-1', true, 1, 1]],
    );
  });

  test('a failed attempt is released, the end of the run for good, on each member', async () => {
    await using access = new MemoryAccess();
    let left = 1;
    const flaky = operation('math.add', () => {
      if (left-- > 0) throw unavailable('NODE_STOPPING', 'the node is stopping');
      return integerValue(9n);
    });
    access.join('math-1', [flaky], 1);
    access.join('math-2', [flaky], 2);
    const { attempts } = await finish(access, { graph: chain(2, 1n) });
    assert.is(attempts, 2);
    assert.equal(
      access.released.map(
        ({ member, ended, attempt }) => `${member} ${String(ended)} ${String(attempt)}`,
      ),
      ['math-1 false 1', 'math-2 false 1', 'math-1 true 2', 'math-2 true 2'],
    );
  });

  test('a result above max_result_bytes fails the run with the advice to store it', async () => {
    for (const topology of [Topology.RING, Topology.STAR]) {
      await using access = new MemoryAccess({ max_result_bytes: 100_000 });
      access.join('math-1', new Operations().all);
      const { failure, attempts } = await finish(access, { graph: blob(100_001n), topology });
      assert.equal([failure?.code, attempts], [status.RESOURCE_EXHAUSTED, 1]);
      assert.match(
        failure?.message ?? '',
        /store a larger one.* 100001, the limit max_result_bytes is 100000/,
      );
    }
  });

  test('large values come from their producer in a ring, from the application node in a star', async () => {
    const sent = graph([...blob(100_000n).steps, step('n', 'math.length')], 'b>n');
    for (const topology of [Topology.RING, Topology.STAR]) {
      await using access = new MemoryAccess();
      access.join('math-1', new Operations().all);
      const { result } = await finish(access, { graph: sent, topology });
      assert.equal(result, integerValue(100_000n));
      const owners = access.world.carried.flatMap(({ arguments: args, capability }) =>
        args.flatMap(({ value }) =>
          value?.kind?.$case === 'memory' && capability?.owner === 'math-1'
            ? [value.kind.value.capability?.owner]
            : [],
        ),
      );
      // In the ring math-1 invokes itself; nothing is carried.
      assert.equal(owners, topology === Topology.STAR ? ['application-1'] : []);
    }
  });

  test('a result whose owner is lost before it was fetched costs another attempt', async () => {
    const access = new MemoryAccess();
    access.join('math-1', new Operations().all, 1);
    const { run, ended } = start(access, { graph: blob(100_000n) });
    const { memory } = access;
    let pulls = 0;
    access.pull = (value, options) => {
      if (++pulls > 1) return memory.pull(value, options);
      access.join('math-2', new Operations().all, 2);
      return Promise.reject(unavailable('OWNER_LOST', 'math-1 is gone'));
    };
    await ended;
    assert.equal([run.state, run.ended?.attempts, pulls], [RunState.SUCCEEDED, 2, 2]);
  });

  test('maps, joins and handlers leave nothing behind when they are cancelled', async () => {
    for (const topology of [Topology.RING, Topology.STAR]) {
      await using access = new MemoryAccess();
      const operations = new Operations();
      access.join('math-1', operations.all);
      const inner = graph(
        [step('b', 'math.blob'), step('w', 'math.hang'), step('n', 'math.length')],
        ...['>b', '>w', 'b>n.input[0]'],
      );
      const sent = graph(
        [
          map('m', inner, { input: listValue([integerValue(90_000n), integerValue(80_000n)]) }),
          step('j', 'math.join', { left: one }),
          step('v', 'math.hang', { input: one }),
        ],
        'v>j.right',
      );
      const { run, ended } = start(access, { graph: sent, topology });
      while (operations.begun.filter((key) => key.startsWith('r/n[')).length < 2)
        await new Promise((resolve) => setImmediate(resolve));
      run.cancel(cancelled('run r was cancelled'));
      await ended;
      assert.is(run.state, RunState.CANCELLED);
      while (operations.aborted.length < 3) await new Promise((resolve) => setImmediate(resolve));
      assert.equal([...operations.aborted].sort(), ['r/v', 'r/w[0]', 'r/w[1]']);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
});
