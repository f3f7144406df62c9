import { status } from '@grpc/grpc-js';
import { Registry } from 'prom-client';

import { kindOfRun, RunAdmission } from '../../../controllers/application/run-admission.js';
import { RunState, Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { RunEnded } from '../../../protos/gen/fractory/v1/application.js';
import { ManualClock } from '../../../runtime/clock.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { RunRecord } from '../../../services/application/run-record.js';
import { assert, rejects, suite } from '../../suite.js';
import { chain } from '../../services/application/graphs.js';

const never = new AbortController().signal;
const graph = chain(2, 1n);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function admissionOf(maxRuns = 2, maxWaiting = 1) {
  const clock = new ManualClock(0);
  const registry = new Registry();
  const admission = new RunAdmission({ maxRuns, maxWaiting, clock, registry });
  const enter = (budgetMs = 1000, signal = never) => admission.enter('kind', budgetMs, signal);
  /** A run that is let in, takes so long and ends like this. */
  const run = async (ms: number, fields: Partial<RunEnded> = {}): Promise<void> => {
    const place = await enter(60_000);
    const record = new RunRecord({
      ...{ id: 'r', graph, topology: Topology.RING, budgetMs: 1, startedAtMs: 0 },
    });
    place.follow(record);
    clock.advance(ms);
    record.add({
      $case: 'ended',
      value: {
        ...{ state: RunState.SUCCEEDED, attempts: 1, elapsedUs: 0n, receipts: [] },
        ...{ result: undefined, failure: undefined },
        ...fields,
      },
    });
    await turn();
  };
  return { clock, registry, admission, enter, run };
}

suite('run admission', (test) => {
  test('lets runs in up to its limit, has the next wait for its turn, and refuses the rest with word when to come again', async () => {
    const { admission, enter } = admissionOf();
    const first = await enter();
    await enter();
    const third = enter();
    const refused = { code: status.RESOURCE_EXHAUSTED, reason: 'OVERLOADED' } as const;
    const error = await rejects(enter(), FractoryError, refused);
    assert.match(error.message, '2 runs are under way, the limit is 2 now, and 1 wait already');
    assert.ok((error.retryAfterMs ?? 0) >= 50);
    first.leave();
    first.leave();
    await third;
    assert.equal([admission.inside, admission.waiting], [2, 0]);
  });

  test('runs that wait for a missing member leave their places to other kinds, and come back when there is room', async () => {
    const { admission, enter } = admissionOf();
    const options = { id: 'r', graph, topology: Topology.RING, budgetMs: 1, startedAtMs: 0 };
    const missing = [];
    for (let number = 0; number < 4; number++) {
      const run = new RunRecord(options);
      (await admission.enter('pictures', 1000, never)).follow(run);
      run.stepAside();
      run.stepAside();
      missing.push(run);
    }
    assert.is(admission.inside, 0);
    const full = { code: status.RESOURCE_EXHAUSTED, reason: 'OVERLOADED' } as const;
    const error = await rejects(admission.enter('pictures', 1000, never), FractoryError, full);
    assert.match(error.message, '4 runs of this graph wait for a member that is missing');
    const others = [await enter(), await enter()];
    const [first, second, third, fourth] = missing;
    const back = first!.goOn(never);
    const gone = new AbortController();
    const leaving = second!.goOn(gone.signal);
    gone.abort(unavailable('BUDGET', 'its time is over'));
    await rejects(leaving, FractoryError, { reason: 'BUDGET' });
    assert.is(admission.inside, 2);
    others[0]!.leave();
    await back;
    assert.is(admission.inside, 2);
    for (const run of [first, second, third, fourth])
      run!.abandon(unavailable('GONE', 'the test is over'));
    others[1]!.leave();
    await turn();
    assert.is(admission.inside, 0);
    (await admission.enter('pictures', 1000, never)).leave();
  });

  test('waiting ends after a while as refused, or with the caller for its reason', async () => {
    const { admission, enter, clock } = admissionOf(1, 2);
    await enter();
    const waiting = enter(60_000);
    const caller = new AbortController();
    const left = enter(60_000, caller.signal);
    caller.abort(unavailable('GONE', 'the caller is gone'));
    await rejects(left, FractoryError, { reason: 'GONE' });
    clock.advance(1100);
    await rejects(waiting, FractoryError, { reason: 'OVERLOADED' });
    assert.is(admission.waiting, 0);
  });

  test('a budget that can not be made is refused before it costs anything', async () => {
    const { enter, run } = admissionOf();
    for (let known = 0; known < 20; known++) await run(100);
    const hopeless = { code: status.DEADLINE_EXCEEDED, reason: 'BUDGET_TOO_SHORT' } as const;
    await rejects(enter(40), FractoryError, hopeless);
    (await enter(60)).leave();
  });

  test('runs that get slower lower the limit; those that were tried again or failed by themselves do not', async () => {
    const endings: [string, number, Partial<RunEnded>, boolean][] = [
      ['slow', 500, {}, true],
      ['out of time', 500, { state: RunState.TIMED_OUT }, true],
      ['tried again', 500, { attempts: 2 }, false],
      ['failed', 500, { state: RunState.FAILED }, false],
    ];
    for (const [what, ms, fields, isLower] of endings) {
      const { admission, run } = admissionOf(1024);
      for (let known = 0; known < 20; known++) await run(10);
      const before = admission.limit;
      for (let ended = 0; ended < 60; ended++) await run(ms, fields);
      assert.is(
        admission.limit < before,
        isLower,
        `${what}: ${String(before)} ${String(admission.limit)}`,
      );
    }
  });

  test('/metrics shows the limit, those under way, those who wait and those refused', async () => {
    const { enter, registry } = admissionOf(1, 0);
    await enter();
    await rejects(enter(), FractoryError);
    const text = await registry.metrics();
    assert.match(text, /^fractory_run_limit 1$/m);
    assert.match(text, /^fractory_runs_under_way 1$/m);
    assert.match(text, /^fractory_runs_waiting 0$/m);
    assert.match(text, /^fractory_runs_refused_total\{reason="OVERLOADED"\} 1$/m);
  });

  test('a kind is told by graph, topology and durability', () => {
    const request = { graph, topology: Topology.RING, durable: false };
    const kinds = [
      kindOfRun(request),
      kindOfRun({ ...request, topology: Topology.STAR }),
      kindOfRun({ ...request, durable: true }),
      kindOfRun({ ...request, graph: chain(3, 1n) }),
      kindOfRun({ ...request, graph: undefined }),
    ];
    assert.is(new Set(kinds).size, 5);
    assert.is(kindOfRun({ ...request }), kinds[0]);
  });
});
