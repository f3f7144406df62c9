import { status } from '@grpc/grpc-js';

import { RunState, Topology } from '../../../protos/gen/fractory/v1/application.js';
import { cancelled } from '../../../runtime/errors.js';
import { assert, suite } from '../../suite.js';
import { attempted, finish, hang, start } from './begun-runs.js';
import { MemoryAccess } from './kernel-access.js';

suite('the end of a run', (test) => {
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
    assert.equal([state, failure?.reason], [RunState.TIMED_OUT, 'BUDGET_EXHAUSTED']);
    // The run and the member at which the step hangs watch the same deadline: whoever notices first tells.
    assert.match(failure?.message ?? '', /budget of 60 ms|the time of the run is used up/);
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
});
