import { describeCrossover } from '../../../launcher/tax/crossover.js';
import { orderOf, runsPerBlock } from '../../../launcher/tax/measurement.js';
import { fasterArm, rowFrom } from '../../../launcher/tax/rows.js';
import type { TaxRow } from '../../../launcher/tax/rows.js';
import { median, quantile } from '../../../launcher/tax/statistics.js';
import { taxFindings, taxTable } from '../../../launcher/tax/tax-table.js';
import { assert, suite } from '../../suite.js';
import { block, row } from './fixture.js';

const MIB = 1024 ** 2;

suite('tax rows', (test) => {
  test('figures are per run, medians over the rounds; ratios are those of each round', () => {
    const rounds = [
      { star: block([10, 12, 11], 2000), ring: block([5, 5], 1000) },
      { star: block([20, 20], 2000), ring: block([5, 5], 1000) },
      { star: block([6, 6], 2200), ring: block([6, 6, 60], 1000) },
    ];
    const found = rowFrom('linear', 1024, rounds);
    assert.is(found.bytesRatio, 2);
    assert.equal(found.bytesRange, [2, 2.2]);
    assert.is(found.latencyRatio, 2.2);
    assert.equal(found.latencyRange, [1, 4]);
    assert.equal(found.star, {
      ...{ wireBytes: 2000, messages: 2, p50Ms: 11, p99Ms: 20 },
      links: { 'storage-1 -> cnn-1': { bytes: 2000, messages: 2 } },
    });
    assert.is(found.ring.p99Ms, 60);
    assert.is(found.ringFasterRounds, 2);
  });

  test('bytes of interfaces stand in a row only where they were counted', () => {
    const counted = { ...block([1, 1], 100), interfaceBytes: 240 };
    const found = rowFrom('linear', 1024, [{ star: counted, ring: block([1], 100) }]);
    assert.is(found.star.interfaceBytes, 120);
    assert.not('interfaceBytes' in found.ring);
  });

  test('the faster arm is named only where four rounds of five say so', () => {
    assert.is(fasterArm(row('linear', MIB, 1.5)), 'ring');
    assert.is(fasterArm(row('linear', MIB, 1.05)), 'even');
    assert.is(fasterArm(row('linear', MIB, 0.8)), 'star');
  });

  test('quantiles are samples', () => {
    assert.is(median([3, 1, 2]), 2);
    assert.is(quantile([1, 2, 3, 4], 0.99), 4);
    assert.ok(Number.isNaN(median([])));
  });

  test('arms take turns at going first, over rounds and over sizes', () => {
    assert.equal(orderOf(1, 1), ['star', 'ring']);
    assert.equal(orderOf(2, 1), ['ring', 'star']);
    assert.equal(orderOf(1, 2), ['ring', 'star']);
  });

  test('small payloads run often, large ones several times', () => {
    assert.equal([256, MIB, 8 * MIB, 16 * MIB].map(runsPerBlock), [30, 8, 3, 3]);
  });
});

suite('crossover', (test) => {
  // The rounds of 1.05 and of 0.98 are on both sides of 1.
  const line = (...ratios: number[]): TaxRow[] =>
    ratios.map((ratio, index) => row('linear', 1024 * 4 ** index, ratio));

  const sentences = [
    [line(0.98), 'the two are even at 1 KiB'],
    [line(2), 'the ring is faster at 1 KiB'],
    [line(0.5), 'the star is faster at 1 KiB'],
    [line(1.05, 0.98), 'the two are even from 1 KiB to 4 KiB'],
    [line(1.5, 2), 'the ring is faster from 1 KiB to 4 KiB'],
    [line(0.98, 2, 3), 'the two are even at 1 KiB, the ring is faster from 4 KiB to 16 KiB'],
    [
      line(0.5, 1.5, 2),
      'the star is faster at 1 KiB, the ring is faster from 4 KiB to 16 KiB; the lead changes between 1 KiB and 4 KiB',
    ],
    [
      line(0.5, 1.05, 2),
      'the star is faster at 1 KiB, the two are even at 4 KiB, the ring is faster at 16 KiB; the lead changes between 1 KiB and 16 KiB',
    ],
    [
      line(2, 1.05, 2),
      'the ring is faster at 1 KiB, the two are even at 4 KiB, the ring is faster at 16 KiB',
    ],
    [
      line(0.5, 1.5, 0.5),
      'the star is faster at 1 KiB, the ring is faster at 4 KiB, the star is faster at 16 KiB; the lead changes between 1 KiB and 4 KiB and between 4 KiB and 16 KiB',
    ],
    [[], 'nothing was measured'],
  ] as const;
  for (const [rows, sentence] of sentences)
    test(`it is told in a line: ${sentence}`, () => {
      assert.is(describeCrossover(rows), sentence);
    });
});

suite('tax table', (test) => {
  const rows = [row('linear', 1024, 0.8), row('linear', MIB, 1.6), row('layered', MIB, 2.5)];

  test('each row has both arms, ratios with ranges, and who was faster', () => {
    const [header, first, second] = taxTable(rows).split('\n');
    assert.match(
      header ?? '',
      /^GRAPH +PAYLOAD +WIRE star +ring +BYTES star\/ring +MESSAGES star +ring +P50 ms star +ring +TIME star\/ring +P99 ms star +ring +FASTER$/,
    );
    assert.match(first ?? '', /^linear +1 KiB +2.39 KiB +1.39 KiB +1.72x \[1.72-1.72\] +2 +2 /);
    assert.match(first ?? '', / 1.60 +2.00 +0.80x \[0.72-0.88\] +1.76 +2.00 +star$/);
    assert.match(second ?? '', / 1.60x \[1.44-1.76\] .* ring$/);
  });

  test('the kernel has columns where it counted', () => {
    const [first] = rows;
    const kernel = { ...first!, star: { ...first!.star, interfaceBytes: 4096 } };
    assert.match(taxTable([kernel]), /FASTER +KERNEL star +ring\n/);
    assert.match(taxTable([kernel]), /star +4 KiB /);
  });

  test('findings name the crossover of each graph and the links that carried the payload', () => {
    const findings = taxFindings(rows).split('\n');
    assert.is(
      findings[0],
      'linear: the star is faster at 1 KiB, the ring is faster at 1 MiB; the lead changes between 1 KiB and 1 MiB',
    );
    assert.is(findings[1], '  1 MiB as star: storage-1 -> cnn-1 2.00 MiB');
    assert.is(findings[3], 'layered: the ring is faster at 1 MiB');
  });
});
