import { trendsOf } from '../../../bench/long-soak/flatness.js';
import type { Sample } from '../../../bench/long-soak/sampler.js';
import { assert, suite } from '../../suite.js';

const MIB = 1024 ** 2;

/** Forty samples of one node, one a minute. */
function samples(of: (minute: number) => { mib?: number; pid?: number; fds?: number }): Sample[] {
  return Array.from({ length: 40 }, (_, minute) => {
    const { mib = 100, pid = 1, fds = 30 } = of(minute);
    const sizes = { residentBytes: mib * MIB, descriptors: fds };
    return { atMs: 60_000 * minute, processes: [{ name: 'math-1', pid, ...sizes }], znodes: 12 };
  });
}

function growing(taken: readonly Sample[]): string[] {
  return trendsOf(taken).flatMap(({ isFlat, what }) => (isFlat ? [] : [what]));
}

suite('whether a soak stays flat', (test) => {
  test('what stays is flat, also with noise and a beginning', () => {
    assert.equal(growing(samples((minute) => ({ mib: minute < 5 ? 60 : 100 + (minute % 7) }))), []);
  });

  test('memory and descriptors that grow are found', () => {
    assert.equal(growing(samples((minute) => ({ mib: 100 + 3 * minute }))), [
      'resident memory, MiB',
    ]);
    assert.equal(growing(samples((minute) => ({ fds: 30 + 3 * minute }))), ['file descriptors']);
  });

  test('a heap that finds its size in the first minutes is no growth', () => {
    const young = samples((minute) => ({ mib: 100 + minute })).map((one) => ({
      ...one,
      atMs: one.atMs / 30,
    }));
    assert.equal(growing(young), []);
  });

  test('a life that is too short says nothing', () => {
    const lives = samples((minute) => ({
      pid: Math.floor(minute / 5),
      mib: 100 + 20 * (minute % 5),
    }));
    assert.equal(
      trendsOf(lives).map(({ name }) => name),
      ['coordinator'],
    );
  });

  test('znodes that are left behind are found', () => {
    const taken = samples(() => ({})).map((one, index) => ({ ...one, znodes: 12 + index }));
    assert.equal(growing(taken), ['znodes']);
  });
});
