import type { FixedParts } from '../../../../services/cnn/execution/arrangement.js';
import {
  batchCandidatesOf,
  candidatesOf,
  choose,
  isAsFast,
  reasonOf,
  sparingCandidates,
} from '../../../../services/cnn/execution/choice.js';
import type { Speed } from '../../../../services/cnn/execution/choice.js';
import { assert, suite } from '../../../suite.js';

const speed = (
  workers: number,
  threads: number,
  maxBatch: number,
  perSecond: number,
  loneMs: number,
): Speed => ({
  ...{ workers, threads, maxBatch, perSecond, loneMs },
  runMs: (1000 * workers * maxBatch) / perSecond,
});

const told = ({ workers, threads, maxBatch }: Speed): string =>
  [workers, threads, maxBatch].join('x');

suite('the choice of an arrangement', (test) => {
  const tables: readonly (readonly [string, readonly Speed[], string])[] = [
    ['nothing else was measured', [speed(2, 1, 1, 500, 4)], '2x1x1'],
    [
      'more threads give less throughput, however soon one is answered',
      [speed(2, 1, 1, 500, 4), speed(1, 2, 1, 450, 2)],
      '2x1x1',
    ],
    [
      'more threads give as much and answer sooner',
      [speed(2, 1, 1, 500, 4), speed(1, 2, 1, 505, 2)],
      '1x2x1',
    ],
    ['a batch gains little', [speed(2, 1, 1, 500, 4), speed(2, 1, 4, 530, 4)], '2x1x1'],
    [
      'a batch gains much; of batches that are as good the smallest',
      [speed(2, 1, 1, 500, 4), speed(2, 1, 4, 890, 4), speed(2, 1, 8, 900, 4)],
      '2x1x4',
    ],
    [
      'a large batch gains more than a small one',
      [speed(2, 1, 1, 500, 4), speed(2, 1, 4, 700, 4), speed(2, 1, 8, 900, 4)],
      '2x1x8',
    ],
    [
      'all others are slower',
      [speed(2, 1, 1, 500, 4), speed(1, 2, 1, 499, 1), speed(2, 1, 2, 480, 4)],
      '2x1x1',
    ],
  ];
  for (const [name, speeds, expected] of tables)
    test(`${expected} where ${name}`, () => {
      assert.is(told(choose(speeds)), expected);
    });

  test('whatever was measured, nothing slower than the plain one is chosen', () => {
    let state = 7;
    const random = (): number =>
      (state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 500; round++) {
      const speeds = Array.from({ length: 6 }, (_, at) =>
        speed(
          1 + (at % 3),
          1 + (at % 2),
          at === 0 ? 1 : 2 ** (at % 4),
          100 + 900 * random(),
          1 + 9 * random(),
        ),
      );
      assert.ok(choose(speeds).perSecond >= (speeds[0]?.perSecond ?? 0));
    }
  });

  test('the reason has the figures of what was chosen and of the others', () => {
    const speeds = [speed(2, 1, 1, 541.4, 3.61), speed(1, 2, 1, 488, 2.1)];
    const [chosen] = speeds;
    assert.ok(chosen);
    assert.is(
      reasonOf(chosen, speeds, ['its requests run one by one']),
      'measured: 2 workers x 1 threads x batch 1: 541/s, 3.6 ms for one alone; against 1 workers x 2 threads x batch 1: 488/s; its requests run one by one',
    );
  });
});

suite('batches that only spare messages', (test) => {
  const single = speed(2, 1, 1, 1000, 2);
  const found = (...speeds: readonly Speed[]): string[] =>
    sparingCandidates(single, speeds).map(told);

  test('are of at most four, the largest first, of the arrangement that was chosen', () => {
    const speeds = [2, 4, 8].map((batch) => speed(2, 1, batch, 1000, 2));
    assert.equal(found(single, ...speeds, speed(1, 2, 4, 1000, 1)), ['2x1x4', '2x1x2']);
  });

  test('are none where a larger batch was chosen already', () => {
    const batch = speed(2, 1, 2, 1200, 2);
    assert.equal(sparingCandidates(batch, [single, batch, speed(2, 1, 4, 1200, 2)]), []);
  });

  test('take 10 ms at most', () => {
    // Two workers: 4 of them in 10 ms are 800 a second.
    const slow = speed(2, 1, 1, 800, 2.5);
    assert.equal(
      sparingCandidates(slow, [speed(2, 1, 4, 800, 2.5)]).map(({ runMs }) => runMs),
      [10],
    );
    assert.equal(sparingCandidates(slow, [speed(2, 1, 4, 799, 2.5)]), []);
    assert.not(isAsFast(speed(2, 1, 4, 799, 2.5), slow));
  });

  test('reach 0.97 of what single requests do; one that may have been unlucky gets a second chance', () => {
    assert.equal(found(speed(2, 1, 4, 899, 2), speed(2, 1, 2, 901, 2)), ['2x1x2']);
    assert.ok(isAsFast(speed(2, 1, 4, 970, 2), single));
    assert.not(isAsFast(speed(2, 1, 4, 969, 2), single));
  });
});

suite('what is measured', (test) => {
  const ways = (cores: number, fixed: FixedParts = {}): string[] =>
    candidatesOf(cores, fixed).map(
      ({ workers, threads }) => `${String(workers)}x${String(threads)}`,
    );

  test('all cores are used, by threads of 1, 2, 4, ...; a thread for each core comes first', () => {
    assert.equal(ways(1), ['1x1']);
    assert.equal(ways(2), ['2x1', '1x2']);
    assert.equal(ways(6), ['6x1', '3x2', '1x4']);
    assert.equal(ways(8), ['8x1', '4x2', '2x4', '1x8']);
  });

  test('what is fixed is not varied', () => {
    assert.equal(ways(8, { threads: 2 }), ['4x2']);
    assert.equal(ways(8, { workers: 2 }), ['2x1', '2x2', '2x4']);
    assert.equal(ways(8, { workers: 3, threads: 1 }), ['3x1']);
    assert.equal(batchCandidatesOf({ workers: 1, threads: 1, maxBatch: 4 }, { maxBatch: 4 }), []);
    assert.equal(
      batchCandidatesOf({ workers: 1, threads: 2, maxBatch: 1 }, {}).map(
        ({ maxBatch }) => maxBatch,
      ),
      [2, 4, 8, 16],
    );
  });
});
