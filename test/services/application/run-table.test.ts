import { status } from '@grpc/grpc-js';

import { RunState, Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { RunEvent } from '../../../protos/gen/fractory/v1/application.js';
import { Receipt } from '../../../protos/gen/fractory/v1/graph.js';
import { textValue } from '../../../protos/values.js';
import { cancelled, FractoryError } from '../../../runtime/errors.js';
import { RunRecord } from '../../../services/application/run-record.js';
import type { RunOptions } from '../../../services/application/run-record.js';
import { RunTable } from '../../../services/application/run-table.js';
import { assert, suite, throws } from '../../suite.js';
import { chain, graph, step } from './graphs.js';

const never = new AbortController().signal;

function options(id: string, fields: Partial<RunOptions> = {}): RunOptions {
  return {
    ...{ id, graph: chain(2, 1n), topology: Topology.RING, budgetMs: 1000, startedAtMs: 1 },
    ...fields,
  };
}

function end(run: RunRecord, state: RunState = RunState.SUCCEEDED, receipts: Receipt[] = []): void {
  run.add({
    $case: 'ended',
    value: {
      ...{ state, attempts: 1, elapsedUs: 1n, receipts },
      ...{ result: undefined, failure: undefined },
    },
  });
}

const accept = (run: RunRecord): void => {
  run.add({ $case: 'accepted', value: { member: 'application-1', epoch: 1n } });
};

async function eventsOf(run: RunRecord, signal = never): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of run.events(signal)) events.push(event);
  return events;
}

const kinds = (events: readonly RunEvent[]): (string | undefined)[] =>
  events.map(({ event }) => event?.$case);

suite('run record', (test) => {
  test('ends once: what comes after the end is not heard', async () => {
    const run = new RunRecord(options('r'));
    accept(run);
    end(run);
    end(run, RunState.FAILED);
    accept(run);
    assert.equal(kinds(await eventsOf(run)), ['accepted', 'ended']);
    assert.is(run.state, RunState.SUCCEEDED);
  });

  test('a late subscriber sees all events, as an early one does', async () => {
    const run = new RunRecord(options('r'));
    const early = eventsOf(run);
    accept(run);
    await Promise.resolve();
    const late = eventsOf(run);
    end(run);
    assert.equal(kinds(await early), ['accepted', 'ended']);
    assert.equal(await late, await early);
    assert.equal(await eventsOf(run), await early);
  });

  test('a subscriber that goes away leaves the others waiting', async () => {
    const run = new RunRecord(options('r'));
    const going = new AbortController();
    const gone = eventsOf(run, going.signal);
    const staying = eventsOf(run);
    accept(run);
    await new Promise((resolve) => setImmediate(resolve));
    going.abort();
    assert.equal(kinds(await gone), ['accepted']);
    end(run);
    assert.equal(kinds(await staying), ['accepted', 'ended']);
  });

  test('a cancel aborts its signal with the reason', () => {
    const run = new RunRecord(options('r'));
    run.cancel(cancelled('run r was cancelled'));
    run.cancel(cancelled('again'));
    assert.is((run.cancelSignal.reason as Error).message, 'run r was cancelled');
    assert.is(run.state, RunState.RUNNING);
  });
});

suite('run table', (test) => {
  test('the same id and graph is the same run', () => {
    const table = new RunTable({ maxRuns: 5, maxRemembered: 5, maxRememberedBytes: 100 });
    const first = table.open(options('r'));
    const second = table.open(options('r', { budgetMs: 5 }));
    assert.equal([first.isNew, second.isNew, table.running], [true, false, 1]);
    assert.is(first.run, second.run);
    end(first.run);
    table.settle(first.run);
    assert.is(table.open(options('r')).run, first.run);
  });

  test('the same id with another graph is refused', () => {
    const table = new RunTable({ maxRuns: 5, maxRemembered: 5, maxRememberedBytes: 100 });
    table.open(options('r'));
    throws(() => table.open(options('r', { graph: chain(2, 2n) })), FractoryError, {
      code: status.ALREADY_EXISTS,
      reason: 'RUN_EXISTS',
    });
  });

  test('more runs than max_runs at a time are refused', () => {
    const table = new RunTable({ maxRuns: 1, maxRemembered: 5, maxRememberedBytes: 100 });
    const { run } = table.open(options('r'));
    const error = throws(() => table.open(options('s')), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
    });
    assert.match(error.message, /the limit max_runs is 1/);
    assert.ok(error.retryAfterMs !== undefined);
    end(run);
    table.settle(run);
    assert.is(table.running, 0);
    assert.ok(table.open(options('s')).isNew);
  });

  test('forgets the oldest that ended, never one under way', () => {
    const table = new RunTable({ maxRuns: 5, maxRemembered: 2, maxRememberedBytes: 10_000 });
    table.open(options('under-way'));
    for (const id of ['a', 'b', 'c', 'd']) {
      const { run } = table.open(options(id));
      end(run);
      table.settle(run);
    }
    assert.equal(
      table.list().map((run) => run.id),
      ['d', 'c', 'under-way'],
    );
    const error = throws(() => table.get('a'), FractoryError, { code: status.NOT_FOUND });
    assert.match(error.message, /no run a; ended runs are forgotten/);
  });

  test('forgets the oldest where results take too much room, never the last that ended', () => {
    const table = new RunTable({ maxRuns: 5, maxRemembered: 5, maxRememberedBytes: 10_000 });
    for (const [id, bytes] of Object.entries({ a: 6000, b: 3500, c: 1000, d: 20_000 })) {
      const { run } = table.open(options(id));
      run.add({
        $case: 'ended',
        value: {
          ...{ state: RunState.SUCCEEDED, attempts: 1, elapsedUs: 1n, receipts: [] },
          ...{ result: textValue('x'.repeat(bytes)), failure: undefined },
        },
      });
      table.settle(run);
      const ids = table.list().map((one) => one.id);
      assert.equal(ids, { a: ['a'], b: ['b', 'a'], c: ['c', 'b'], d: ['d'] }[id]);
    }
  });

  test('counts what stands in the graphs, and receipts, as well as results', () => {
    const table = new RunTable({ maxRuns: 5, maxRemembered: 5, maxRememberedBytes: 10_000 });
    const large = graph([step('s', 'math.add', { input: textValue('x'.repeat(6000)) })]);
    const receipts = Array.from({ length: 30 }, () => Receipt.fromPartial({}));
    for (const [id, ids] of Object.entries({ a: ['a'], b: ['b'], c: ['c'] })) {
      const { run } = table.open(options(id, id === 'c' ? {} : { graph: large }));
      end(run, RunState.SUCCEEDED, id === 'c' ? receipts : []);
      table.settle(run);
      assert.equal(
        table.list().map((one) => one.id),
        ids,
      );
    }
  });
});
