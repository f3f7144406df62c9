import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { paintShape } from '../../applications/sdk/painter.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import { assert, suite } from '../suite.js';
import { ForeignClient } from './foreign-client.js';
import { leavesNothing, LiveDataCenter, Shared } from './live-data-center.js';
import { watchedRun } from './watched-run.js';

interface Answer {
  readonly factorial: string;
  readonly runs: readonly { readonly receipts: readonly { operation: string; member: string }[] }[];
}

const timeoutMs = 60_000;
const shared = new Shared(() => LiveDataCenter.up());

function memberOf({ runs }: Answer, operation: string): string | undefined {
  return runs[0]?.receipts.find((receipt) => receipt.operation === operation)?.member;
}

/** A chain whose steps each take math a while, so that a run can be met on its way. */
function slowChain(steps: number): object {
  const expression = 'f(n) = n < 2 ? n : f(n - 1) + f(n - 2); f(21) + input';
  const chain = Array.from({ length: steps }, (_, index) => ({
    id: `s${String(index)}`,
    operation: 'math.evaluate',
    arguments: [
      { name: 'expression', value: { text: expression } },
      ...(index === 0 ? [{ name: 'input', value: { integer: '0' } }] : []),
    ],
  }));
  const edges = chain.slice(1).map(({ id }, index) => ({ from: `s${String(index)}`, to: id }));
  return { name: 'slow-chain', steps: chain, edges };
}

suite('a data center that loses members', (test) => {
  for (const [signalName, how] of [
    ['SIGKILL', 'is killed'],
    ['SIGTERM', 'stops'],
  ] as const)
    test(
      `when the storage leader ${how}, the other member leads and the next run succeeds`,
      async ({ signal }) => {
        const dataCenter = await shared.get();
        const before = await dataCenter.statusWhen(
          (members) => members.filter(({ type }) => type === 'storage').length === 2,
          signal,
        );
        const storage = before.filter(({ type }) => type === 'storage');
        const leader = storage.find((member) => member.leader);
        const heir = storage.find((member) => !member.leader);
        assert.ok(leader && heir);
        process.kill(leader.pid, signalName);
        const answer = await dataCenter.json<Answer>('run', 'template', '--n', '9');
        assert.is(answer.factorial, '362880');
        assert.is(memberOf(answer, 'storage.write'), heir.id);
        assert.is((await dataCenter.leader('storage')).id, heir.id);

        // The launcher starts it again: a new life, behind the other.
        const after = await dataCenter.statusWhen(
          (members) => members.some(({ id, epoch }) => id === leader.id && epoch !== leader.epoch),
          signal,
        );
        const back = after.find(({ id }) => id === leader.id);
        assert.ok(back && BigInt(back.epoch) > BigInt(heir.epoch));
        assert.is(back.leader, false);
        assert.is.not(back.pid, leader.pid);
        const { stdout } = await dataCenter.ok('logs', 'launcher');
        assert.match(stdout, new RegExp(`${leader.id} died`));
      },
      { timeoutMs },
    );

  for (const topology of ['TOPOLOGY_RING', 'TOPOLOGY_STAR'])
    test(
      `when the only math node is killed amid a ${topology.slice(9).toLowerCase()}, the run is tried again and ends right`,
      async ({ signal }) => {
        const dataCenter = await shared.get();
        const { address } = await dataCenter.leader('application');
        const math = await dataCenter.leader('math');
        const run = watchedRun(address, { graph: slowChain(8), topology, budgetMs: 30_000 });
        await run.said('"attempted"');
        process.kill(math.pid, 'SIGKILL');
        const { state, result, attempts } = await run.end();
        assert.is(state, 'RUN_STATE_SUCCEEDED');
        assert.is(result?.integer, String(8 * 10_946));
        assert.ok(attempts > 1, `${String(attempts)} attempts`);
        const after = await dataCenter.statusWhen(
          (members) => members.some(({ id, state: now }) => id === math.id && now === 'SERVING'),
          signal,
        );
        assert.is.not(after.find(({ id }) => id === math.id)?.pid, math.pid);
      },
      { timeoutMs },
    );

  test(
    'a run whose budget ends before the member is back ends out of time, not never',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const { address } = await dataCenter.leader('application');
      const { pid } = await dataCenter.leader('cnn');
      process.kill(pid, 'SIGSTOP');
      try {
        const graph = {
          name: 'frozen',
          steps: [
            {
              id: 'see',
              operation: 'cnn.predict',
              arguments: [
                { name: 'input', value: { bytes: { mediaType: 'image/png', data: '' } } },
              ],
            },
          ],
        };
        const { state, failure } = await watchedRun(address, { graph, budgetMs: 1500 }).end();
        assert.is(state, 'RUN_STATE_TIMED_OUT');
        assert.ok(failure?.reason);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await dataCenter.statusWhen(
        (members) => members.some(({ type, state }) => type === 'cnn' && state === 'SERVING'),
        signal,
      );
    },
    { timeoutMs },
  );

  test(
    'Ctrl-C ends a run that hangs on a frozen member as cancelled',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const application = new ForeignClient((await dataCenter.leader('application')).address);
      const states = async (): Promise<(string | undefined)[]> => {
        const { runs = [] } = await application.call<{
          runs?: { state: string }[];
        }>('ApplicationService/List', { pageSize: 1 });
        return runs.map(({ state }) => state);
      };
      const picture = path.join(dataCenter.folder, 'circle.png');
      await writeFile(picture, await paintShape('circle', seededRandom(5)));
      const { pid } = await dataCenter.leader('cnn');
      process.kill(pid, 'SIGSTOP');
      try {
        const run = dataCenter.start('run', 'image-prediction', '--image', picture);
        while ((await states())[0] !== 'RUN_STATE_RUNNING') signal.throwIfAborted();
        run.signal('SIGINT');
        assert.is((await run.ended).code, 130);
        assert.is((await states())[0], 'RUN_STATE_CANCELLED');
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      const answer = dataCenter.ok(
        'run',
        'image-prediction',
        '--image',
        picture,
        '--model',
        'shapes',
      );
      assert.match((await answer).stdout, /circle/);
    },
    { timeoutMs },
  );

  test(
    'when the only application node is killed, the next run waits for its next life and succeeds',
    async () => {
      const dataCenter = await shared.get();
      const { pid, epoch } = await dataCenter.leader('application');
      process.kill(pid, 'SIGKILL');
      const answer = await dataCenter.json<Answer>('run', 'template', '--n', '10');
      assert.is(answer.factorial, '3628800');
      const { epoch: now } = await dataCenter.leader('application');
      assert.ok(BigInt(now) > BigInt(epoch));
    },
    { timeoutMs },
  );

  test(
    'when the application node is killed amid a run, its client is told',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const { pid, address } = await dataCenter.leader('application');
      const run = watchedRun(address, { graph: slowChain(8), budgetMs: 30_000 });
      await run.said('"attempted"');
      process.kill(pid, 'SIGKILL');
      const { code, stderr } = await run.ended;
      assert.is.not(code, 0);
      assert.match(stderr, /"code": "(unavailable|unknown|internal)"/, stderr);
      await dataCenter.statusWhen(
        (members) => members.some((one) => one.type === 'application' && one.state === 'SERVING'),
        signal,
      );
    },
    { timeoutMs },
  );

  test(
    'when the application node is killed amid a durable run, its next life ends it, and whoever watches it hears',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const { pid, epoch, address } = await dataCenter.leader('application');
      const request = { run: 'outlives', graph: slowChain(8), budgetMs: 30_000, durable: true };
      const run = watchedRun(address, request);
      await run.said('"attempted"');
      process.kill(pid, 'SIGKILL');
      await run.ended;
      const next = await dataCenter.statusWhen(
        (members) =>
          members.some(
            (one) => one.type === 'application' && one.epoch !== epoch && one.state === 'SERVING',
          ),
        signal,
      );
      const { address: later } = next.find(({ type }) => type === 'application')!;
      const { state, result, attempts } = await watchedRun(later, request, 'Watch').end();
      assert.equal([state, result?.integer], ['RUN_STATE_SUCCEEDED', String(8 * 10_946)]);
      assert.ok(attempts > 1, `${String(attempts)} attempts`);
      assert.equal(await watchedRun(later, request).end(), await watchedRun(later, request).end());
    },
    { timeoutMs },
  );

  test(
    'after all this everybody serves and each node leads once',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const members = await dataCenter.statusWhen(
        (all) => all.length === 5 && all.every(({ state }) => state === 'SERVING'),
        signal,
      );
      assert.is(new Set(members.map(({ id }) => id)).size, 5);
      for (const { address, leader, type } of members) {
        const told = await new ForeignClient(address).call<{ leader?: boolean }>(
          'ControllerService/Describe',
          {},
        );
        assert.is(told.leader ?? false, leader, type);
      }
    },
    { timeoutMs },
  );

  leavesNothing(test, shared, { timeoutMs });
});
