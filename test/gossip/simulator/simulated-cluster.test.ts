import { seededRandom } from '../../../runtime/seeded-random.js';
import { shortestSuspicionMs } from '../../../gossip/core/formulas.js';
import { lan } from '../../../gossip/core/profile.js';
import { SimulatedCluster } from '../../../gossip/simulator/simulated-cluster.js';
import type { ClusterOptions } from '../../../gossip/simulator/simulated-cluster.js';
import { assert, suite } from '../../suite.js';

function cluster(members: number, seed: number, changes: Partial<ClusterOptions> = {}) {
  /** By observer and member, when it was declared dead. */
  const declared = new Map<string, number>();
  const simulated: SimulatedCluster = new SimulatedCluster({
    ...{ members, profile: lan, random: seededRandom(seed), loss: 0, latencyMs: [0.3, 1.5] },
    watchesStalls: true,
    onChange: (observer, { kind, member }) => {
      if (kind === 'fail')
        declared.set(`${String(observer)} ${member.name}`, simulated.time.monotonicMs());
    },
    ...changes,
  });
  simulated.start();
  return { simulated, declared };
}

suite('a simulated cluster', (test) => {
  test('everybody learns of a crash, in the time that the formula gives it', () => {
    for (const [members, seed] of [
      [20, 1],
      [100, 2],
      [300, 3],
    ] as const) {
      const { simulated, declared } = cluster(members, seed);
      simulated.runFor(3000);
      simulated.crash(7);
      simulated.runFor(40_000);
      assert.is(declared.size, members - 1);
      const shortestMs = shortestSuspicionMs(lan, members);
      for (const atMs of declared.values()) {
        const detectedMs = atMs - 3000;
        assert.ok(detectedMs >= shortestMs, `${String(detectedMs)} ms among ${String(members)}`);
        // A round of probes until somebody asks it, two for the confirmations, and the way of the rumour.
        assert.ok(detectedMs <= shortestMs + 8000, `${String(detectedMs)} ms`);
      }
    }
  });

  test('nobody is declared dead where nobody dies, though a tenth of all packets is lost', () => {
    const { simulated, declared } = cluster(60, 4, { loss: 0.1 });
    simulated.runFor(120_000);
    assert.is(declared.size, 0);
  });

  test('a member that was stopped for a while blames nobody', () => {
    const { simulated, declared } = cluster(60, 5);
    for (let time = 0; time < 5; time++) {
      simulated.pause(3, 4000);
      simulated.runFor(20_000);
    }
    const byIt = [...declared.keys()].filter((key) => key.startsWith('3 '));
    assert.equal(byIt, []);
  });

  test('two halves declare each other dead, and find together again when they are joined', () => {
    const { simulated } = cluster(30, 6);
    for (let place = 0; place < 10; place++) simulated.moveTo(place, 1);
    simulated.runFor(60_000);
    const statesAt = (place: number): string[] =>
      [...simulated.member(place).table].map(({ state }) => state);
    assert.is(statesAt(0).filter((state) => state === 'dead').length, 20);
    assert.is(statesAt(29).filter((state) => state === 'dead').length, 10);
    for (let place = 0; place < 10; place++) simulated.moveTo(place, 0);
    // Somebody has to begin: as an operator would by a join.
    simulated.exchange(0, 29);
    simulated.runFor(120_000);
    for (let place = 0; place < 30; place++)
      assert.ok(
        statesAt(place).every((state) => state === 'alive'),
        String(place),
      );
  });

  test('the same seed gives the same course', () => {
    const courses = [1, 2].map(() => {
      const { simulated, declared } = cluster(40, 8, { loss: 0.2 });
      simulated.crash(3);
      simulated.runFor(60_000);
      return JSON.stringify([[...declared], simulated.traffic.sent]);
    });
    assert.is(courses[0], courses[1]);
  });
});
