import { status } from '@grpc/grpc-js';

import { RunState, Topology } from '../../../protos/gen/fractory/v1/application.js';
import { JournalRecord } from '../../../protos/gen/fractory/v1/journal.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue } from '../../../protos/values.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { chain, graph, one, step } from '../../services/application/graphs.js';
import { increment, operation } from '../kernel/kernels.js';
import { member } from '../kernel/member-list.js';
import { MemoryAccess } from './kernel-access.js';
import { MemoryJournalFiles } from './memory-journal.js';
import { endOf, eventsOf, once, ownerOf, sent } from './owners.js';

const hang = () => new Promise<Value>(() => undefined);

/** An application node with storage in sight, whose journal is in memory. */
function world() {
  const access = new MemoryAccess();
  access.list.set(member('storage-1', { routing: 'leader', epoch: 3n }));
  const files = new MemoryJournalFiles();
  /** The application node begins a new life: what it had in hands is lost to it. */
  const rebirth = (epoch: bigint, options = {}) => {
    access.beginEpoch(epoch);
    return ownerOf(access, files, options);
  };
  return { access, files, first: ownerOf(access, files), rebirth };
}

/** Resolves when `is` holds. */
async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 1));
}

suite('durable runs', (test) => {
  test('one is written down before it is accepted, and its end before anybody hears of it', async () => {
    const { access, files, first } = world();
    access.join('math-1', [increment]);
    const order: string[] = [];
    files.beforePut = ({ ended }) => void order.push(ended ? 'end written' : 'written');
    const run = await first.durable.open(sent(chain(2, 1n)), '');
    order.push('accepted');
    const events = await eventsOf(run);
    order.push('ended');
    assert.equal(order, ['written', 'accepted', 'end written', 'ended']);
    assert.equal(
      events.map(({ event }) => event?.$case),
      ['accepted', 'attempted', 'ended'],
    );
    assert.equal(run.ended?.result, integerValue(3n));
    assert.equal(files.writes, ['r 1 open', 'r 2 ended']);
    assert.is(first.durable.underWay, 0);
  });

  test('what can not be written down is not accepted, and nothing of it begins', async () => {
    const { access, files, first } = world();
    access.join('math-1', [increment]);
    files.beforePut = () => {
      throw new FractoryError(status.RESOURCE_EXHAUSTED, 'DISK_FULL', 'the disk is full');
    };
    await rejects(first.durable.open(sent(chain(1, 1n)), ''), FractoryError, {
      reason: 'DISK_FULL',
    });
    assert.equal([first.runs.running, access.world.carried.length], [0, 0]);
  });

  test('sent twice it runs once, sent with another graph it is refused', async () => {
    const { access, files, first } = world();
    access.join('math-1', [increment]);
    const twice = [chain(2, 1n), chain(2, 1n)].map((each) => first.durable.open(sent(each), ''));
    const [one_, other] = await Promise.all(twice);
    assert.is(one_, other);
    await endOf(one_!);
    await rejects(first.durable.open(sent(chain(3, 1n)), ''), FractoryError, {
      reason: 'RUN_EXISTS',
    });
    assert.is(files.writes.length, 2);
  });

  test('the next leader takes up what has not ended, at the same deadline, with higher attempts', async () => {
    for (const topology of [Topology.RING, Topology.STAR]) {
      const { access, first, rebirth } = world();
      let stuck = true;
      access.join('math-1', [
        operation('math.add', (args) => (stuck ? hang() : args.get('input')!)),
      ]);
      const old = await first.durable.open(sent(chain(1, 4n), { topology }), '');
      await until(() => access.world.carried.length === 1);
      first.die();
      await rejects(eventsOf(old), FractoryError, { code: status.CANCELLED });
      stuck = false;
      const second = rebirth(2n);
      access.lead();
      await until(() => second.runs.find('r') !== undefined);
      const run = second.runs.find('r')!;
      const { state, attempts, result } = await endOf(run);
      assert.equal([state, attempts, result], [RunState.SUCCEEDED, 2, integerValue(4n)]);
      assert.is(run.options.deadlineMs, old.options.startedAtMs + 5000);
      const numbers = access.world.carried
        .filter(({ capability }) => capability?.owner === 'math-1')
        .map(({ attempt }) => attempt);
      assert.ok(numbers.length === 2 && numbers[1]! > numbers[0]! + 1000);
      const release = access.released.find(({ attempt }) => attempt < numbers[1]!);
      assert.ok(release && !release.ended, 'what the owner before had under way is aborted');
    }
  });

  test('one whose owner wrote at the same moment is taken up at the next look', async () => {
    const { access, files, first, rebirth } = world();
    let stuck = true;
    access.join('math-1', [operation('math.add', (args) => (stuck ? hang() : args.get('input')!))]);
    await first.durable.open(sent(chain(1, 4n)), '');
    first.die();
    stuck = false;
    let conflicts = 0;
    files.beforePut = ({ takeovers, ended }) => {
      if (takeovers === 1 && !ended && conflicts++ === 0)
        throw new FractoryError(status.ABORTED, 'VERSION_MISMATCH', 'r has another version');
    };
    const second = rebirth(2n);
    access.lead();
    await until(() => second.runs.find('r') !== undefined);
    assert.is((await endOf(second.runs.find('r')!)).state, RunState.SUCCEEDED);
    assert.is(conflicts, 2);
  });

  test('one that a leader before wrote down too late for the first look is taken up at the next', async () => {
    const { access, files, first, rebirth } = world();
    access.join('math-1', [increment]);
    let commit = (): void => undefined;
    files.beforePut = ({ takeovers }) =>
      takeovers > 0 ? undefined : new Promise<void>((resolve) => (commit = resolve));
    const late = first.durable.open(sent(chain(1, 4n)), '');
    await until(() => first.durable.underWay === 0);
    const second = rebirth(2n, { lookAgainMs: 5 });
    access.lead();
    await until(() => second.ended.size === 0);
    assert.is(second.runs.find('r'), undefined);
    commit();
    await late;
    first.die();
    await until(() => second.runs.find('r') !== undefined);
    assert.is((await endOf(second.runs.find('r')!)).state, RunState.SUCCEEDED);
    second.die();
  });

  test('a node that leads no more writes nothing down and takes nothing up, however young its epoch', async () => {
    const { access, files, first, rebirth } = world();
    access.join('math-1', [operation('math.add', hang)]);
    await first.durable.open(sent(chain(1, 1n)), '');
    first.die();
    const second = rebirth(9n);
    access.isLeader = false;
    const refused = { code: status.FAILED_PRECONDITION, reason: 'NOT_LEADER' } as const;
    await rejects(second.durable.find('r'), FractoryError, refused);
    await rejects(second.durable.open(sent(chain(1, 1n), { id: 's' }), ''), FractoryError, refused);
    assert.equal([files.writes, files.record('r')?.epoch], [['r 1 open'], 1n]);
  });

  test('a leader below the epoch of an owner before registers again above it', async () => {
    const { access, files, first, rebirth } = world();
    access.join('math-1', [increment]);
    const { openRecord } = await import('../../../services/application/journal/journal-entry.js');
    const record = openRecord(sent(chain(1, 1n)), { member: 'application-2', epoch: 9n }, '');
    await files.put({ run: 'r', isEnded: false }, 0n, JournalRecord.encode(record).finish());
    await rejects(first.durable.find('r'), FractoryError, { reason: 'RUN_TAKEN_OVER' });
    assert.equal(access.steppedBack, [9n]);
    first.die();
    const run = await rebirth(10n).durable.find('r');
    assert.is((await endOf(run!)).state, RunState.SUCCEEDED);
  });

  test('an end is the same from any later leader, and a run sent again attaches to it', async () => {
    const { access, first, rebirth } = world();
    access.join('math-1', [increment]);
    const end = await endOf(await first.durable.open(sent(chain(2, 1n)), ''));
    const carried = access.world.carried.length;
    first.die();
    const second = rebirth(2n);
    const found = await second.durable.find('r');
    assert.equal(found?.ended, end);
    const again = await second.durable.open(sent(chain(2, 1n), { startedAtMs: 1 }), '');
    assert.equal(again.ended, end);
    assert.is(access.world.carried.length, carried);
    assert.is(await second.durable.find('other'), undefined);
  });

  test('where storage has been seen, or may be about to start, nobody says that there is no such run', async () => {
    const { access, files, first } = world();
    access.join('math-1', [increment]);
    await endOf(await first.durable.open(sent(chain(2, 1n)), ''));
    first.die();
    access.lose('storage-1');
    const patient = ownerOf(access, files, { storagePatienceMs: 5000 });
    const found = patient.durable.find('r');
    access.list.set(member('storage-1', { routing: 'leader', epoch: 4n }));
    assert.is((await found)?.ended?.state, RunState.SUCCEEDED);
    patient.die();
    const later = ownerOf(access, files);
    later.durable.noticeStorage();
    access.lose('storage-1');
    assert.is((await later.durable.find('r'))?.ended?.state, RunState.SUCCEEDED);
    const blind = ownerOf(access, files);
    assert.is(await blind.durable.find('r'), undefined);
  });

  test('one whose budget was over before anybody took it up is timed out', async () => {
    const { access, files, first, rebirth } = world();
    access.join('math-1', [operation('math.add', hang)]);
    await first.durable.open(sent(chain(1, 1n)), '');
    first.die();
    // Time passes.
    const overdue = { ...files.record('r')!, deadlineMs: BigInt(Date.now()) };
    await files.put({ run: 'r', isEnded: false }, 1n, JournalRecord.encode(overdue).finish());
    const run = await rebirth(2n).durable.find('r');
    assert.is(run?.ended?.state, RunState.TIMED_OUT);
    assert.is(files.record('r')?.ended?.state, RunState.TIMED_OUT);
  });

  test('an owner that was overtaken without noticing ends nothing', async () => {
    const { access, files, first } = world();
    let finish: ((value: Value) => void) | undefined;
    access.join('math-1', [
      operation('math.add', () => new Promise((resolve) => (finish = resolve))),
    ]);
    const run = await first.durable.open(sent(chain(1, 1n)), '');
    await until(() => finish !== undefined);
    const record = files.record('r')!;
    // Somebody else has it by now.
    const { JournalRecord } = await import('../../../protos/gen/fractory/v1/journal.js');
    const theirs = { ...record, member: 'application-2', epoch: 9n, takeovers: 1 };
    await files.put({ run: 'r', isEnded: false }, 1n, JournalRecord.encode(theirs).finish());
    const following = eventsOf(run);
    finish!(integerValue(1n));
    const error = await rejects(following, FractoryError, { reason: 'RUN_TAKEN_OVER' });
    assert.match(error.message, /application-2 \(epoch 9\)/);
    assert.equal([run.ended, files.record('r')?.ended], [undefined, undefined]);
    await until(() => first.durable.underWay === 0);
    assert.is(first.runs.running, 0);
    await rejects(first.durable.find('r'), FractoryError, { reason: 'RUN_TAKEN_OVER' });
  });

  test('nobody hears of an end that is not written: it is tried until it is', async () => {
    const { access, files, first } = world();
    access.join('math-1', [increment]);
    let failures = 2;
    files.beforePut = ({ ended }) => {
      if (ended && failures-- > 0) throw unavailable('NO_MEMBER', 'no storage node is registered');
    };
    const run = await first.durable.open(sent(chain(1, 1n)), '');
    assert.is((await endOf(run)).state, RunState.SUCCEEDED);
    assert.is(failures, -1);
    assert.is(files.record('r')?.ended?.state, RunState.SUCCEEDED);
  });

  test('a cancel is written down too', async () => {
    const { access, files, first } = world();
    access.join('math-1', [operation('math.add', hang)]);
    const run = await first.durable.open(sent(chain(1, 1n)), '');
    run.cancel(new FractoryError(status.CANCELLED, 'CANCELLED', 'cancelled'));
    assert.is((await endOf(run)).state, RunState.CANCELLED);
    assert.is(files.record('r')?.ended?.state, RunState.CANCELLED);
  });
});

suite('a write that its owner gave up and that was made all the same', (test) => {
  test('does not take the run from its owner', async () => {
    const { access, files, first } = world();
    access.join('math-1', [once('math.make', hang)], 1);
    let commit = (): void => undefined;
    files.beforePut = ({ pinned, ended }) => {
      if (!ended && pinned.length > 0) return new Promise<void>((resolve) => (commit = resolve));
      commit();
      // The other one is first.
      return new Promise((resolve) => setImmediate(resolve));
    };
    const graphOfOne = graph([step('a', 'math.make', { input: one })]);
    const run = await first.durable.open(sent(graphOfOne), '');
    const before = commit;
    await until(() => commit !== before);
    run.cancel(new FractoryError(status.CANCELLED, 'CANCELLED', 'cancelled'));
    assert.is((await endOf(run)).state, RunState.CANCELLED);
    assert.equal(files.writes, ['r 1 open', 'r 2 open', 'r 3 ended']);
  });
});

suite('steps that must not be done twice', (test) => {
  const twoSteps = graph([step('a', 'math.make', { input: one }), step('b', 'text.read')], 'a>b');

  test('another attempt waits for the first, and the next leader too', async () => {
    const { access, files, first, rebirth } = world();
    let done = 0;
    let finish: (() => void) | undefined;
    const make = once('math.make', () => {
      done++;
      return new Promise<Value>(
        (resolve) =>
          (finish = () => {
            resolve(integerValue(8n));
          }),
      );
    });
    access.join('math-1', [make], 1);
    access.join('math-2', [make], 2);
    access.join('text-1', [operation('text.read', (args) => args.get('input')!)], 3);
    await first.durable.open(sent(twoSteps), '');
    await until(() => done === 1);
    assert.equal(files.record('r')?.pinned, [
      { step: 'a', members: [{ member: 'math-1', epoch: 7n }], branches: 0 },
    ]);
    first.die();
    const run = await rebirth(2n).durable.find('r');
    await until(
      () =>
        access.world.carried.filter(({ capability }) => capability?.owner === 'math-1').length ===
        2,
    );
    finish!();
    const { state, result, receipts } = await endOf(run!);
    assert.equal([state, result, done], [RunState.SUCCEEDED, integerValue(8n), 1]);
    assert.equal(
      receipts.map((receipt) => [receipt.member, receipt.reused]),
      [
        ['math-1', true],
        ['text-1', false],
      ],
    );
    for (const id of ['math-1', 'math-2'])
      assert.is(access.world.place(id).kernel.counts.running, 0);
  });

  test('the run fails if the life of their member is over', async () => {
    for (const isDurable of [true, false]) {
      const { access, first } = world();
      const seen: string[] = [];
      access.join('math-1', [once('math.make', () => (seen.push('begun'), hang()))], 1);
      access.join('text-1', [operation('text.read', (args) => args.get('input')!)], 3);
      const { Runner } = await import('../../../controllers/application/runner.js');
      const { RunRecord } = await import('../../../services/application/run-record.js');
      const { silentLogger } = await import('../../../runtime/logger.js');
      const plain = new RunRecord(sent(twoSteps, { durable: false }));
      if (!isDurable) void new Runner(access, silentLogger()).execute(plain);
      const run = isDurable ? await first.durable.open(sent(twoSteps), '') : plain;
      await until(() => seen.length > 0);
      access.join('math-2', [once('math.make', () => integerValue(1n))], 2);
      access.lose('math-1');
      const { state, failure } = await endOf(run);
      assert.equal([state, failure?.reason], [RunState.FAILED, 'STEP_MAY_BE_DONE']);
      assert.equal([failure?.step, failure?.member], ['a', 'math-1']);
      assert.match(
        failure?.message ?? '',
        /step a on math-1 may be done and must not be done twice/,
      );
    }
  });

  test('a loss elsewhere does not make them be done again', async () => {
    const { access, first } = world();
    let done = 0;
    access.join(
      'math-1',
      [once('math.make', () => Promise.resolve(integerValue(BigInt(++done))))],
      1,
    );
    access.join('math-2', [once('math.make', () => Promise.resolve(integerValue(99n)))], 2);
    let reading = 0;
    access.join('text-1', [operation('text.read', () => (reading++, hang()))], 3);
    const run = await first.durable.open(sent(twoSteps), '');
    await until(() => reading === 1);
    access.join('text-2', [operation('text.read', (args) => args.get('input')!)], 4);
    access.lose('text-1');
    const { state, result, attempts } = await endOf(run);
    assert.equal([state, result, attempts, done], [RunState.SUCCEEDED, integerValue(1n), 2, 1]);
  });

  test('one that fails after it began is not tried again', async () => {
    const { access, first } = world();
    let begun = 0;
    const breaks = once('math.make', () => {
      begun++;
      throw unavailable('DEVICE_BUSY', 'the device is busy');
    });
    access.join('math-1', [breaks], 1);
    access.join('text-1', [operation('text.read', (args) => args.get('input')!)], 3);
    const { state, failure } = await endOf(await first.durable.open(sent(twoSteps), ''));
    assert.equal([state, failure?.reason, begun], [RunState.FAILED, 'STEP_MAY_BE_DONE', 1]);
    assert.match(failure?.message ?? '', /the device is busy/);
  });
});
