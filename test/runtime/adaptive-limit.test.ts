import { AdaptiveLimit } from '../../runtime/adaptive-limit.js';
import type { AdaptiveLimitOptions } from '../../runtime/adaptive-limit.js';
import { LatencyFloors } from '../../runtime/latency-floors.js';
import { assert, suite } from '../suite.js';
import { overload } from './overload-model.js';

const IDLE_MS = 10;

/** A limit that knows how long its one kind takes, and has just looked. */
function limitOf(options: AdaptiveLimitOptions = {}) {
  const limit = new AdaptiveLimit(options);
  let now = 0;
  const end = (ms: number, isLate = false): void => {
    limit.ended({ kind: 'kind', startedAtMs: now - ms, isLate }, now);
  };
  /** A window in which so many are under way and each takes so long. */
  const pass = (ms: number, peak = 1e6, windowMs = 100): void => {
    for (let ended = 1; ended <= 20; ended++) {
      now += windowMs / 20;
      limit.underWay(peak);
      end(ms);
    }
  };
  for (let known = 0; known < 20; known++) end(IDLE_MS);
  return {
    ...{ limit, pass, end },
    /** Goes through the look at the floor that comes with the first full window. */
    look: (ms = IDLE_MS): void => {
      while (limit.limit > 1) pass(IDLE_MS);
      while (limit.limit === 1) {
        now += ms;
        end(ms);
      }
    },
    advance: (ms: number): void => {
      now += ms;
    },
  };
}

suite('adaptive limit', (test) => {
  test('doubles while nothing is slow, up to its bound', () => {
    const { limit, pass, look } = limitOf({ initial: 10, max: 100 });
    look();
    const seen = [limit.limit];
    for (let windows = 0; windows < 5; windows++) {
      pass(IDLE_MS);
      seen.push(limit.limit);
    }
    assert.equal(seen, [10, 20, 40, 80, 100, 100]);
  });

  test('falls to about half in a window that is very slow, and grows by its square root afterwards', () => {
    const { limit, pass, look } = limitOf({ initial: 64 });
    look();
    pass(40 * IDLE_MS, 1e6, 400);
    assert.ok(limit.isOverloaded);
    assert.is(limit.limit, 37);
    for (let windows = 0; windows < 4; windows++) pass(1);
    assert.not(limit.isOverloaded);
    assert.ok(limit.limit > 37 && limit.limit < 80, String(limit.limit));
  });

  test('a limit that is not used to the half does not grow', () => {
    const { limit, pass } = limitOf({ initial: 20 });
    for (let windows = 0; windows < 20; windows++) pass(IDLE_MS, 9);
    assert.is(limit.limit, 20);
  });

  test('what was turned away further on counts as overload', () => {
    const { limit, advance } = limitOf({ initial: 64 });
    for (let end = 0; end < 20; end++) {
      advance(10);
      limit.dropped(end * 10);
    }
    assert.ok(limit.isOverloaded && limit.limit < 40);
  });

  test('what ran out of time is slow by its age; a budget that was too short says nothing', () => {
    for (const [ms, isOverloaded] of [
      [50 * IDLE_MS, true],
      [1, false],
    ] as const) {
      const { limit, end, advance } = limitOf();
      for (let ended = 0; ended < 40; ended++) {
        advance(20);
        end(ms, true);
      }
      assert.is(limit.isOverloaded, isOverloaded);
      assert.is(limit.floorOf('kind')?.toFixed(1), '10.0');
    }
  });

  test('the first full window, and one each 30 s of such, is followed by a look at what idle is', () => {
    const { limit, pass, look, advance } = limitOf({ initial: 40, max: 40 });
    pass(IDLE_MS);
    assert.is(limit.limit, 1, 'one at a time');
    advance(IDLE_MS);
    look(20);
    assert.is(limit.limit, 40);
    assert.is(limit.floorOf('kind')?.toFixed(0), '20', 'it is what it is now');
    for (let windows = 0; windows < 200; windows++) pass(20);
    assert.is(limit.limit, 40);
    advance(10_000);
    pass(20);
    assert.is(limit.limit, 1);
  });

  for (const [servers, workMs] of [
    [2, 10],
    [8, 40],
    [1, 2],
  ] as const)
    test(`4 times the capacity of ${String(servers)} x ${String(workMs)} ms: goodput stays, latency stays within 5 times idle`, () => {
      const { goodput, p99Ms, refused } = overload({ servers, workMs, times: 4, seed: 7 });
      assert.ok(goodput >= 0.95, `goodput is ${goodput.toFixed(3)} of the capacity`);
      assert.ok(p99Ms <= 5 * workMs * 1.5, `p99 is ${p99Ms.toFixed(1)} ms`);
      assert.ok(refused > 0.7, `refused ${refused.toFixed(2)}`);
    });

  test('below the capacity next to nothing is refused', () => {
    const { goodput, refused } = overload({ servers: 4, workMs: 10, times: 0.7, seed: 3 });
    assert.ok(refused < 0.001 && goodput > 0.65, `${String(refused)} ${String(goodput)}`);
  });
});

suite('latency floors', (test) => {
  const KNOWN = 20;
  /** One sample a second, some of 10 ms before. */
  const floorsOf = (...latencies: readonly number[]): LatencyFloors => {
    const floors = new LatencyFloors();
    for (let sample = 0; sample < KNOWN; sample++) floors.sample('kind', 10, 0);
    for (const [second, ms] of latencies.entries()) floors.sample('kind', ms, second * 1000);
    return floors;
  };

  test('are the lowest that the mean of some samples was, whatever single ones are', () => {
    const floor = floorsOf(2, ...Array.from({ length: 50 }, () => 30), 2, 90, 10).of('kind') ?? 0;
    assert.ok(floor > 9 && floor < 11, String(floor));
  });

  test('are not known before some samples', () => {
    const floors = new LatencyFloors();
    for (let sample = 0; sample < 16; sample++) assert.is(floors.sample('kind', 10, 0), undefined);
    assert.is(floors.sample('kind', 10, 0)?.toFixed(3), '1.000');
  });

  test('a kind that becomes slower is told to be so by its factor', () => {
    const floors = floorsOf();
    let slowness: number | undefined;
    for (let sample = 0; sample < 100; sample++) slowness = floors.sample('kind', 40, 0);
    assert.is(slowness?.toFixed(1), '4.0');
  });

  test('each kind has its own, and one whose times vary by a factor of 30 is not slow for that', () => {
    const floors = floorsOf();
    assert.is(floors.sample('other', 1000, 0), undefined);
    const slowness: number[] = [];
    for (let sample = 0; sample < 5000; sample++)
      slowness.push(floors.sample('other', (sample * 7919) % 3 === 0 ? 300 : 10, 0) ?? 1);
    slowness.sort((a, b) => a - b);
    assert.ok((slowness[2500] ?? 9) < 2, String(slowness[2500]));
    assert.is(floors.of('kind')?.toFixed(1), '10.0');
  });

  test('forget slowly what was lower', () => {
    const floor = floorsOf(...Array.from({ length: 60 }, () => 50)).of('kind') ?? 0;
    assert.ok(floor > 11 && floor < 12, String(floor));
  });

  test('are kept for a bounded number of kinds', () => {
    const floors = new LatencyFloors();
    for (let kind = 0; kind < 1000; kind++)
      for (let sample = 0; sample < KNOWN; sample++) floors.sample(String(kind), 5, 0);
    assert.is(floors.of('0'), undefined);
    assert.is(floors.of('999')?.toFixed(1), '5.0');
  });
});
