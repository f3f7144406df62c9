import { once } from 'node:events';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { narrow } from '../controllers/kernel/capabilities/token.js';
import { Capability } from '../protos/gen/fractory/v1/capability.js';
import { KernelEnd } from './kernel-end.js';
import type { Belief } from './kernel-end.js';
import { finding, median, quantile } from './statistics.js';
import type { Finding } from './statistics.js';

/** Round trips of each arm in a round, and how many follow each other before the other arm has its turn. */
const TRIPS = 6000;
const TURN = 200;

/** Two kernels in two processes that either check every capability or believe it. */
class Pair implements AsyncDisposable {
  readonly #near: KernelEnd;
  readonly #far: ChildProcess;
  readonly #capability: Capability;

  private constructor(near: KernelEnd, far: ChildProcess, capability: Capability) {
    this.#near = near;
    this.#far = far;
    this.#capability = capability;
  }

  static async start(belief: Belief): Promise<Pair> {
    const script = fileURLToPath(new URL('./checks-node.js', import.meta.url));
    const far = fork(script, [belief]);
    const [told] = (await once(far, 'message')) as [{ port: number; capability: string }];
    const near = new KernelEnd('near', belief);
    const nearPort = await near.listen();
    near.meet({ near: nearPort, far: told.port });
    far.send(nearPort);
    await once(far, 'message');
    const root = Capability.decode(Buffer.from(told.capability, 'base64'));
    const expiresAtMs = BigInt(Date.now() + 3_600_000);
    return new Pair(near, far, narrow(root, { expiresAtMs }));
  }

  /** Microseconds of round trips, one after the other. */
  async trips(count: number): Promise<number[]> {
    const samples: number[] = [];
    for (let trip = 0; trip < count; trip++) {
      const startedAt = performance.now();
      await this.#near.roundTrip(this.#capability);
      samples.push((performance.now() - startedAt) * 1000);
    }
    return samples;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#near.close();
    const ended = once(this.#far, 'exit');
    this.#far.disconnect();
    await ended;
  }
}

/** What the checks of both capabilities of a null operation, its own and the reply's, take of its round trip. */
export async function measureChecks(rounds: number, trips = TRIPS): Promise<Finding[]> {
  await using checks = await Pair.start('checks');
  await using believes = await Pair.start('believes');
  const medians = { checks: [] as number[], believes: [] as number[], checksP99: [] as number[] };
  // The first round warms both arms up.
  for (let round = 0; round <= rounds; round++) {
    const samples = { checks: [] as number[], believes: [] as number[] };
    for (let turn = 0; turn < trips / TURN; turn++) {
      samples.checks.push(...(await checks.trips(TURN)));
      samples.believes.push(...(await believes.trips(TURN)));
    }
    if (round === 0) continue;
    medians.checks.push(median(samples.checks));
    medians.believes.push(median(samples.believes));
    medians.checksP99.push(quantile(samples.checks, 0.99));
  }
  return [
    finding(
      'share_of_capability_checks',
      ['time of the capability checks', 'round trip of a null operation'],
      medians.checks.map((time, round) => (time - (medians.believes[round] ?? Number.NaN)) / time),
      {
        checkedP50Us: median(medians.checks),
        checkedP99Us: median(medians.checksP99),
        uncheckedP50Us: median(medians.believes),
      },
      { most: 0.05 },
    ),
  ];
}
