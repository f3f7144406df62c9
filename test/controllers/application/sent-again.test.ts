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
  readonly #waiting: { resolve: (value: Value) => void; reject: (error: Error) => void }[] = [];

  readonly operation = operation('math.hold', () => {
    this.begun++;
    for (const listener of this.#listeners.splice(0)) listener();
    return new Promise<Value>((resolve, reject) => this.#waiting.push({ resolve, reject }));
  });

  async hasBegun(times: number): Promise<void> {
    while (this.begun < times) await new Promise<void>((resolve) => this.#listeners.push(resolve));
  }

  letGo(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(integerValue(1n));
  }

  failAll(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
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

  test('does what must not be done twice once, though the node before releases its own between two attempts', async () => {
    await using access = new MemoryAccess();
    const held = new Held();
    let done = 0;
    const once = operation('math.add', () => {
      done++;
      return Promise.resolve(one);
    });
    access.join('math-1', [{ ...once, spec: { ...once.spec, idempotent: false } }, held.operation]);
    const { release } = access;
    const late: Parameters<typeof release>[] = [];
    access.release = (...sent) => late.push(sent);
    const graphOfBoth = graph(
      [step('a', 'math.add', { input: one }), step('h', 'math.hold')],
      'a>h',
    );
    const deadlineMs = Date.now() + 5000;
    const before = execution(access, deadlineMs, Topology.RING, graphOfBoth);
    await held.hasBegun(1);
    before.run.abandon(leaving);
    await before.ended;
    access.release = release;
    const after = execution(access, deadlineMs, Topology.RING, graphOfBoth);
    await held.hasBegun(2);
    for (const sent of late) release(...sent);
    held.failAll(unavailable('BUSY', 'the device is busy'));
    await held.hasBegun(3);
    held.letGo();
    await after.ended;
    assert.equal([after.run.state, after.run.ended?.attempts, done], [RunState.SUCCEEDED, 2, 2]);
  });

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
