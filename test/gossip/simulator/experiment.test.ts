import { lan, withoutLifeguard } from '../../../gossip/core/profile.js';
import { run } from '../../../gossip/simulator/experiment.js';
import type { Experiment } from '../../../gossip/simulator/experiment.js';
import { assert, suite } from '../../suite.js';

function experiment(changes: Partial<Experiment> = {}): Experiment {
  return {
    ...{ members: 100, profile: lan, seed: 1, loss: 0, latencyMs: [0.3, 1.5], forMs: 30_000 },
    ...{ crash: 0, join: 0, watchesStalls: true, metaBytes: 0 },
    pause: { members: 0, stoppedMs: 0, runsMs: 0 },
    partition: { share: 0, healAfterMs: 0 },
    ...changes,
  };
}

function within(share: number, value: number | undefined, expected: number): void {
  const ratio = (value ?? 0) / expected;
  assert.ok(Math.abs(ratio - 1) <= share, `${String(value)}, expected about ${String(expected)}`);
}

suite('an experiment', (test) => {
  test('crashes are detected within a tenth of what the formulas say', () => {
    for (const [members, seeds, forMs] of [
      [100, 4, 20_000],
      [1000, 1, 22_000],
    ] as const) {
      const outcomes = Array.from({ length: seeds }, (_, seed) =>
        run(experiment({ members, seed, forMs, crash: 8 })),
      );
      const mean = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0) / of.length;
      const [one] = outcomes;
      within(0.1, mean(outcomes.map(({ first }) => first?.mean ?? 0)), one?.expectedFirstMs ?? 0);
      within(0.1, mean(outcomes.map(({ full }) => full?.mean ?? 0)), one?.expectedFullMs ?? 0);
      for (const { missed, falsePositives } of outcomes) {
        assert.is(missed, 0);
        assert.is(falsePositives.all, 0);
      }
    }
  });

  test('where nothing happens nobody is suspected, and probes cost less than 165 B/s', () => {
    const { suspicions, falsePositives, bytes } = run(experiment({ members: 300, forMs: 40_000 }));
    assert.is(suspicions, 0);
    assert.is(falsePositives.all, 0);
    assert.ok(bytes.probes > 100 && bytes.probes <= 165, `${String(bytes.probes)} B/s`);
  });

  test('the same seed gives the same outcome, another seed another', () => {
    const [one, same, other] = [3, 3, 4].map((seed) =>
      JSON.stringify(run(experiment({ seed, loss: 0.2, crash: 2, join: 2 }))),
    );
    assert.is(one, same);
    assert.is.not(one, other);
  });

  test('everybody hears of those who join', () => {
    const { joined, notJoined } = run(experiment({ join: 4, forMs: 10_000 }));
    assert.is(notJoined, 0);
    assert.ok((joined?.most ?? Infinity) < 4000, String(joined?.most));
  });

  test('two sides hold each other dead, and are whole again 10 s after the healing without an operator', () => {
    for (const [members, share] of [
      [60, 0.5],
      [100, 0.5],
    ] as const) {
      const partition = { share, healAfterMs: 60_000 };
      const { splitMs, wholeMs } = run(experiment({ members, partition, forMs: 90_000 }));
      assert.ok(splitMs !== undefined && splitMs < 60_000, String(splitMs));
      assert.ok(wholeMs !== undefined && wholeMs < 10_000, String(wholeMs));
    }
  });

  test('members that are stopped have healthy ones declared dead without Lifeguard, and none with it', () => {
    const stopped = {
      ...{ members: 128, latencyMs: [5, 25] as const, forMs: 80_000 },
      pause: { members: 16, stoppedMs: 16_000, runsMs: 16 },
    };
    const off = { profile: withoutLifeguard(lan), watchesStalls: false };
    const [without, plain, watching] = [off, { watchesStalls: false }, {}].map(
      (changes) => run(experiment({ ...stopped, ...changes })).falsePositives,
    );
    assert.ok((without?.healthy ?? 0) >= 5, JSON.stringify(without));
    assert.is(without?.byPaused, without?.healthy);
    assert.is(plain?.healthy, 0);
    assert.is(watching?.healthy, 0);
  });
});
