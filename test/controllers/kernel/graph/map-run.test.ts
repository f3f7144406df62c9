import { MapRun } from '../../../../controllers/kernel/graph/map-run.js';
import type { MapOutcome } from '../../../../controllers/kernel/graph/map-run.js';
import type { Outcome, ReplyPair } from '../../../../controllers/kernel/capabilities/objects.js';
import { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { MapContinuation } from '../../../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../../../protos/gen/fractory/v1/value.js';
import { integerValue, toPlain } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';

const REST = {
  ...{ onFailure: [], shared: [], receipts: [], hops: 0, budgetMs: 1000 },
  ...{ traceparent: '', attempt: 1 },
};

/** A map whose items are settled by hand. */
class Bench {
  readonly begun: string[] = [];
  readonly replies: { settle: (outcome: Outcome) => void; revoked: boolean }[] = [];
  outcome: MapOutcome | undefined;
  readonly run: MapRun;

  constructor(items: number, parallelism: number, onBegin?: (item: number) => void) {
    const map = MapContinuation.fromPartial({ step: 'm', branches: [{ ends: 1 }], parallelism });
    this.run = new MapRun(
      {
        map,
        items: Array.from({ length: items }, (_, item) => integerValue(BigInt(item))),
        rest: REST,
        maxReceipts: 5,
        settle: (outcome) => {
          assert.is(this.outcome, undefined, 'it settles once');
          this.outcome = outcome;
        },
      },
      {
        addReply: (settle) => this.#addReply(settle),
        begin: (_heads, value) => {
          this.begun.push(String(toPlain(value)));
          onBegin?.(this.begun.length - 1);
          return () => undefined;
        },
        leftMs: () => 1000,
      },
    );
  }

  succeed(item: number, receipts: number = 1): void {
    this.replies[item]!.settle({
      kind: 'succeeded',
      result: integerValue(BigInt(item * 10)),
      receipts: Array.from({ length: receipts }, () => Buffer.from(String(item))),
    });
  }

  results(): unknown[] {
    return this.outcome?.kind === 'succeeded'
      ? this.outcome.results.map((value: Value) => toPlain(value))
      : [];
  }

  #addReply(settle: (outcome: Outcome) => void): ReplyPair {
    const reply = { settle, revoked: false };
    this.replies.push(reply);
    const capability = Capability.fromPartial({});
    return {
      success: capability,
      failure: capability,
      revoke: () => {
        reply.revoked = true;
      },
    };
  }
}

suite('a map', (test) => {
  test('has at most `parallelism` items under way and begins the next as one ends', () => {
    const bench = new Bench(5, 2);
    bench.run.start();
    assert.equal(bench.begun, ['0', '1']);
    bench.succeed(1);
    assert.equal(bench.begun, ['0', '1', '2']);
  });

  test('yields results in the order of the list, whatever the order of the ends', () => {
    const bench = new Bench(3, 3);
    bench.run.start();
    for (const item of [2, 0, 1]) bench.succeed(item);
    assert.equal(bench.results(), ['0', '10', '20']);
  });

  test('of an empty list is an empty list', () => {
    const bench = new Bench(0, 3);
    bench.run.start();
    assert.equal(bench.outcome, { kind: 'succeeded', results: [], receipts: [] });
  });

  test('does not recurse when items end as they begin: 100,000 of them need no deep stack', () => {
    const bench: Bench = new Bench(100_000, 1, (item) => {
      bench.succeed(item, 0);
    });
    bench.run.start();
    assert.is(bench.results().length, 100_000);
  });

  test('ends with the first failure; what is under way finds its reply revoked, and nothing begins any more', () => {
    const bench = new Bench(9, 3);
    bench.run.start();
    const failure = {
      ...{ code: 3, reason: 'BROKEN', message: 'm', step: 's[1]', member: '' },
      ...{ metadata: {}, retryAfterMs: 0 },
    };
    bench.replies[1]!.settle({ kind: 'failed', failure, receipts: [] });
    assert.is(bench.outcome?.kind, 'failed');
    assert.ok(bench.replies[0]!.revoked && bench.replies[2]!.revoked);
    bench.succeed(0);
    assert.is(bench.begun.length, 3);
  });

  test('keeps no more receipts than it may', () => {
    const bench = new Bench(4, 4);
    bench.run.start();
    for (const item of [0, 1, 2, 3]) bench.succeed(item, 2);
    assert.is(bench.outcome?.receipts.length, 5);
  });

  test('that is stopped revokes what is under way and says nothing', () => {
    const bench = new Bench(4, 2);
    bench.run.start();
    bench.run.stop();
    bench.run.stop();
    assert.ok(bench.replies.every(({ revoked }) => revoked));
    assert.is(bench.outcome, undefined);
  });
});
