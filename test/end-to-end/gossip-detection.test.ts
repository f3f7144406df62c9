import { stat } from 'node:fs/promises';
import path from 'node:path';

import { assert, suite } from '../suite.js';
import { freeze } from './frozen-member.js';
import type { TimedRun } from './frozen-member.js';
import { gossipOf, gossipStatusWhen } from './gossip-status.js';
import { LiveDataCenter } from './live-data-center.js';

const timeoutMs = 120_000;
/** Neither the session nor a broken link tells of a frozen member in this test. */
const SETTINGS = {
  FRACTORY_CONTROLLERS_CONTROLLER_NAMES: 'math_controller, application_controller',
  FRACTORY_MATH_CONTROLLER_INSTANCES: '2',
  FRACTORY_ZOOKEEPER_SESSION_TIMEOUT_MS: '20000',
  FRACTORY_ZOOKEEPER_TICK_MS: '1000',
};
const GOSSIP = { ...SETTINGS, FRACTORY_GOSSIP_ENABLED: 'true' };
const TIMES = { forMs: 11_000, everyMs: 150, afterMs: 3000 };
/** A run takes some 10 ms; who waits for a frozen member takes as long as it is frozen, or until its link breaks. */
const SLOW_MS = 700;
/** By then nobody is sent to a frozen member any more: detection takes 1 to 1.5 s, the rest is for a busy machine. */
const DETECTED_MS = 2500;

const slow = (runs: readonly TimedRun[]): readonly TimedRun[] =>
  runs.filter(({ tookMs }) => tookMs > SLOW_MS);
const textOf = (runs: readonly TimedRun[]): string =>
  runs.map(({ begunMs, tookMs }) => `${begunMs.toFixed(0)} ms: ${tookMs.toFixed(0)} ms`).join(', ');

suite('a member that is frozen', (test) => {
  test(
    'gets no work two seconds later where nodes gossip, and work again when it goes on',
    async () => {
      await using dataCenter = await LiveDataCenter.up(GOSSIP, '--no-zookeeper');
      const { during, after } = await freeze(dataCenter, 'math-2', TIMES);
      assert.ok([...during, ...after].every(({ succeeded }) => succeeded));
      const late = slow(during).filter(({ begunMs }) => begunMs > DETECTED_MS);
      assert.is(late.length, 0, textOf(late));
      assert.ok(after.some(({ member }) => member === 'math-2'));
    },
    { timeoutMs },
  );

  test(
    'without gossip gets work again and again, which waits until its link breaks',
    async () => {
      await using dataCenter = await LiveDataCenter.up(SETTINGS, '--no-zookeeper');
      const { during } = await freeze(dataCenter, 'math-2', TIMES);
      const late = slow(during).filter(({ begunMs }) => begunMs > DETECTED_MS);
      assert.ok(late.length > 0, textOf(slow(during)));
    },
    { timeoutMs },
  );

  test(
    'shows as dead by gossip in status, in words too, while ZooKeeper still lists it',
    async ({ signal }) => {
      const one = { ...GOSSIP, FRACTORY_ZOOKEEPER_SERVERS: '1' };
      await using dataCenter = await LiveDataCenter.up(one);
      const serving = await gossipStatusWhen(
        dataCenter,
        ({ members }) => members.every(({ gossip }) => gossip === 'alive'),
        signal,
      );
      assert.equal(serving.gossip.differences, []);
      const key = await stat(path.join(dataCenter.statePath, 'gossip-key'));
      assert.is(key.mode & 0o777, 0o600);
      const { pid } = await dataCenter.member('math-2');
      process.kill(pid, 'SIGSTOP');
      const frozen = await gossipStatusWhen(
        dataCenter,
        (status) => gossipOf(status, 'math-2') === 'dead' && status.gossip.answered === 2,
        signal,
      );
      assert.match(
        frozen.gossip.differences.join('\n'),
        /^gossip holds math-2 dead for \d+\.\d s, ZooKeeper still lists it$/,
      );
      const { stdout, stderr } = await dataCenter.ok('status');
      assert.match(stdout, /STATE\s+GOSSIP\n/);
      assert.match(stdout, /math-2 .* UNREACHABLE +dead\n/);
      assert.match(stderr, /gossip holds math-2 dead for/);
      process.kill(pid, 'SIGCONT');
      const back = await gossipStatusWhen(
        dataCenter,
        (status) => gossipOf(status, 'math-2') === 'alive',
        signal,
      );
      assert.equal(back.gossip.differences, []);
      process.kill(pid, 'SIGKILL');
      await gossipStatusWhen(
        dataCenter,
        ({ members, gossip }) =>
          members.length === 3 &&
          members.every((member) => member.gossip === 'alive') &&
          members.every((member) => member.pid !== pid) &&
          gossip.differences.length === 0,
        signal,
      );
    },
    { timeoutMs },
  );
});
