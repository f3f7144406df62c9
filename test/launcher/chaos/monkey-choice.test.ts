import fc from 'fast-check';

import { FAULT_KINDS } from '../../../launcher/chaos/fault-kind.js';
import { chooseMove } from '../../../launcher/chaos/monkey-choice.js';
import type { Jungle, MonkeyMove, MonkeyRules } from '../../../launcher/chaos/monkey-choice.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

const NAMES = ['application-1', 'cnn-1', 'math-1', 'math-2', 'storage-1', 'storage-2'];
const SERVERS = ['zookeeper-1', 'zookeeper-2', 'zookeeper-3'];
const rules: MonkeyRules = {
  kinds: FAULT_KINDS,
  spared: new Set(['math-2']),
  sessionTimeoutMs: 2000,
};

function jungle(busy: readonly string[] = []): Jungle {
  const targets = [...NAMES, ...SERVERS].map((name) => ({
    ...{ name, type: name.replace(/-\d+$/, ''), leader: false },
  }));
  const serversDown = busy.filter((name) => SERVERS.includes(name)).length;
  return { targets, busy: new Set(busy), servers: SERVERS.length, serversDown };
}

function moves(seed: number, count: number, among: Jungle = jungle()): MonkeyMove[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => chooseMove(random, rules, among)).flatMap(
    (move) => move ?? [],
  );
}

suite('what the monkey chooses', (test) => {
  test('the same seed makes the same choices, another one others', () => {
    assert.equal(moves(7, 50), moves(7, 50));
    assert.not.equal(moves(7, 50), moves(8, 50));
  });

  test('every fault comes up, and everybody is hit', () => {
    const many = moves(1, 2000);
    assert.equal(new Set(many.map(({ plan }) => plan.kind)), new Set(FAULT_KINDS));
    assert.equal(
      [...new Set(many.map(({ target }) => target.name))].sort(),
      [...NAMES, ...SERVERS].sort(),
    );
  });

  test('nobody is hit twice at a time, a majority of the servers stays, the spared are never killed', () => {
    fc.assert(
      fc.property(fc.integer(), fc.subarray([...NAMES, ...SERVERS]), (seed, busy) => {
        for (const { plan, target } of moves(seed, 20, jungle(busy))) {
          assert.not.ok(busy.includes(target.name));
          const isServer = SERVERS.includes(target.name);
          if (isServer) assert.not.ok(busy.some((name) => SERVERS.includes(name)));
          if (isServer) assert.not.ok(['expire-session', 'fill-disk'].includes(plan.kind));
          if (plan.kind === 'kill') assert.is.not(target.name, 'math-2');
          if (plan.kind === 'fill-disk') assert.is(target.type, 'storage');
        }
      }),
    );
  });

  test('what does not pass by itself has an end', () => {
    for (const { plan, forMs } of moves(3, 500)) {
      const passes = plan.kind === 'kill' || plan.kind === 'expire-session';
      if (passes) assert.is(forMs, undefined);
      else assert.ok(forMs !== undefined && forMs >= 200 && forMs <= 3000, String(forMs));
    }
  });

  test('where everybody has a fault nothing is chosen', () => {
    assert.is(chooseMove(Math.random, rules, jungle([...NAMES, ...SERVERS])), undefined);
  });
});
