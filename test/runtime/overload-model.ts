import { seededRandom } from '../../runtime/seeded-random.js';
import { AdaptiveLimit } from '../../runtime/adaptive-limit.js';
import { ManualClock } from '../../runtime/clock.js';
import { WaitingRoom } from '../../runtime/waiting-room.js';

export interface OverloadModel {
  /** How much can be worked on at a time; what else was admitted waits for one of them. */
  readonly servers: number;
  /** Mean time of one piece of work; it varies by half. */
  readonly workMs: number;
  /** Offered load as a multiple of what the servers can do; arrivals are a Poisson process. */
  readonly times: number;
  readonly seed: number;
}

export interface OverloadOutcome {
  /** Work done as a share of what the servers could do. */
  readonly goodput: number;
  /** Of work that was admitted, waiting included. */
  readonly p99Ms: number;
  /** Share of what was offered. */
  readonly refused: number;
}

const SECONDS = 30;
/** Not measured: the limit finds its place. */
const SETTLING_MS = 2000;

/** Simulates an open load on a few servers behind the limit: no real time passes, and the same seed has the same outcome. */
export function overload({ servers, workMs, times, seed }: OverloadModel): OverloadOutcome {
  const clock = new ManualClock(0);
  const random = seededRandom(seed);
  const limit = new AdaptiveLimit();
  const room = new WaitingRoom({ places: 64, clock, limit: () => limit.limit });
  const queue: (() => void)[] = [];
  let idle = servers;
  const latencies: number[] = [];
  let [offered, refused, done] = [0, 0, 0];
  const isMeasured = (): boolean => clock.now() > SETTLING_MS;
  const work = (end: () => void): void => {
    if (idle === 0) {
      queue.push(() => {
        work(end);
      });
      return;
    }
    idle--;
    clock.schedule(workMs * (0.5 + random()), () => {
      idle++;
      queue.shift()?.();
      end();
    });
  };
  const enter = (offeredAtMs: number): void => {
    const fromMs = clock.now();
    limit.underWay(room.inside);
    work(() => {
      const now = clock.now();
      limit.ended({ kind: 'kind', startedAtMs: fromMs }, now);
      if (isMeasured()) {
        latencies.push(now - offeredAtMs);
        done++;
      }
      room.leave();
    });
  };
  const arrive = (): void => {
    const now = clock.now();
    if (isMeasured()) offered++;
    room.enter(2 * (limit.floorOf('kind') ?? 100), (turn) => {
      if (turn === 'entered') enter(now);
      else if (isMeasured()) refused++;
    });
  };
  const perMs = (times * servers) / workMs;
  const next = (): void => {
    clock.schedule(-Math.log(1 - random()) / perMs, () => {
      arrive();
      next();
    });
  };
  next();
  for (let ms = 0; ms < SECONDS * 1000; ms += 10) clock.advance(10);
  latencies.sort((a, b) => a - b);
  const capacity = (servers / workMs) * (SECONDS * 1000 - SETTLING_MS);
  return {
    goodput: done / capacity,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    refused: refused / offered,
  };
}
