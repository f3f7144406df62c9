import { Runner } from '../../../controllers/application/runner.js';
import { RunState, Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue } from '../../../protos/values.js';
import { unavailable } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { RunRecord } from '../../../services/application/run-record.js';
import { assert, suite } from '../../suite.js';
import { graph, one, step } from '../../services/application/graphs.js';
import { operation } from '../kernel/kernels.js';
import { MemoryAccess } from './kernel-access.js';

/** Holds each use until it is let go, and tells how many have begun. */
class Held {
  begun = 0;
  #listeners: (() => void)[] = [];
  readonly #waiting: ((value: Value) => void)[] = [];

  readonly operation = operation('math.hold', () => {
    this.begun++;
    for (const listener of this.#listeners.splice(0)) listener();
    return new Promise<Value>((resolve) => this.#waiting.push(resolve));
  });

  async hasBegun(times: number): Promise<void> {
    while (this.begun < times) await new Promise<void>((resolve) => this.#listeners.push(resolve));
  }

  letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve(integerValue(1n));
  }
}

const holding = graph([step('a', 'math.hold', { input: one })]);

/** One execution of the run `r`, by an application node of its own; those of one moment have the same deadline. */
function execution(access: MemoryAccess, deadlineMs: number, topology: Topology, sent = holding) {
  const run = new RunRecord({
    ...{ id: 'r', graph: sent, topology, budgetMs: 5000, startedAtMs: 1, deadlineMs },
  });
  return { run, ended: new Runner(access, silentLogger()).execute(run) };
}

const leaving = unavailable('NODE_STOPPING', 'application-1 is stopping');

suite('a plain run that is sent again, with the same id and deadline', (test) => {
  for (const topology of [Topology.RING, Topology.STAR]) {
    const name = topology === Topology.RING ? 'ring' : 'star';

    test(`does not end with what the node before releases later (${name})`, async () => {
      await using access = new MemoryAccess();
      const held = new Held();
      access.join('math-1', [held.operation]);
      const { release } = access;
      const late: Parameters<typeof release>[] = [];
      access.release = (...sent) => late.push(sent);
      const deadlineMs = Date.now() + 5000;
      const before = execution(access, deadlineMs, topology);
      await held.hasBegun(1);
      before.run.abandon(leaving);
      await before.ended;
      access.release = release;
      const after = execution(access, deadlineMs, topology);
      await held.hasBegun(2);
      assert.is(late.length, 1);
      for (const sent of late) release(...sent);
      held.letGo();
      await after.ended;
      assert.equal([after.run.state, after.run.ended?.attempts], [RunState.SUCCEEDED, 1]);
    });

    test(`is not refused for what the node before has released (${name})`, async () => {
      await using access = new MemoryAccess();
      const held = new Held();
      access.join('math-1', [held.operation]);
      const deadlineMs = Date.now() + 5000;
      const before = execution(access, deadlineMs, topology);
      await held.hasBegun(1);
      before.run.abandon(leaving);
      await before.ended;
      const after = execution(access, deadlineMs, topology);
      await held.hasBegun(2);
      held.letGo();
      await after.ended;
      assert.equal([after.run.state, after.run.ended?.attempts], [RunState.SUCCEEDED, 1]);
    });
  }

  test('has joins of its own, though nobody released those of before', async () => {
    await using access = new MemoryAccess();
    const held = new Held();
    const join = operation('math.add', (args) => args.get('input') ?? {});
    access.join('math-1', [held.operation, join]);
    const { release } = access;
    const never: Parameters<typeof release>[] = [];
    access.release = (...sent) => never.push(sent);
    const joining = graph(
      [
        ...[step('a', 'math.add', { input: one }), step('b', 'math.add', { input: one })],
        ...[step('j', 'math.add'), step('h', 'math.hold')],
      ],
      ...['a>j.input', 'b>j.by', 'j>h'],
    );
    const deadlineMs = Date.now() + 5000;
    const before = execution(access, deadlineMs, Topology.RING, joining);
    await held.hasBegun(1);
    before.run.abandon(leaving);
    await before.ended;
    const after = execution(access, deadlineMs, Topology.RING, joining);
    await held.hasBegun(2);
    held.letGo();
    await after.ended;
    assert.equal([after.run.state, after.run.ended?.attempts], [RunState.SUCCEEDED, 1]);
    access.release = release;
    for (const sent of never) release(...sent);
  });
});
