import { Ensemble } from '../../zookeeper/ensemble.js';
import type { MemberStatus } from '../../launcher/member-status.js';
import { isRunning } from '../../launcher/process-identity.js';
import { assert, suite } from '../suite.js';
import { allGone, StubDataCenter } from './stub-data-center.js';

const UP = 'logs of the nodes follow';
const WHOLE = { application: {}, cnn: {}, math: {}, storage: { instances: 2 } };

async function members(dataCenter: StubDataCenter): Promise<MemberStatus[]> {
  const { stdout } = await dataCenter.run('status', '--json');
  return (JSON.parse(stdout) as { members: MemberStatus[] }).members;
}

const installation = await Ensemble.find({ searchPath: process.env['PATH'] });

suite('supervision', (test) => {
  test(
    'up waits until all serve; Ctrl-C stops those first that need others, and ends with 130',
    async ({ signal }) => {
      await using dataCenter = await StubDataCenter.create(WHOLE);
      const up = dataCenter.start('up');
      await up.said(UP);
      const { processes } = await dataCenter.record();
      const found = await members(dataCenter);
      assert.equal(found.map(({ id, state }) => `${id} ${state}`).sort(), [
        'application-1 SERVING',
        'cnn-1 SERVING',
        'math-1 SERVING',
        'storage-1 SERVING',
        'storage-2 SERVING',
      ]);
      const leaders = found.filter(({ leader }) => leader).map(({ type }) => type);
      assert.equal(leaders, ['application', 'cnn', 'math', 'storage']);
      up.process.kill('SIGINT');
      const { code, stdout, stderr } = await up.ended;
      assert.is(code, 130, stderr);
      await allGone(processes, signal);
      const stops = [...stdout.matchAll(/^(\S+) +(\w+)-\d +INFO {2}stub stops why=SIGTERM/gm)];
      // By their own clocks: what one said last may be read after the first words of the next.
      const inOrder = stops.sort(([, one = ''], [, other = '']) => one.localeCompare(other));
      assert.equal(
        inOrder.map((match) => match[2]),
        ['application', 'cnn', 'math', 'storage', 'storage'],
      );
      assert.is((await dataCenter.run('status')).code, 5);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'a start that takes too long says who is not there, and why',
    async () => {
      await using dataCenter = await StubDataCenter.create({
        math: {},
        storage: { behaviour: 'lost' },
      });
      const { code, stderr } = await dataCenter.run('up', '--timeout', '3');
      assert.is(code, 5, stderr);
      assert.match(
        stderr.replaceAll('\n', ' '),
        /took longer than 3000 ms; not there: storage-1; storage-1 at 127\.0\.0\.1:1 can't be reached: .*ECONNREFUSED/,
      );
    },
    { timeoutMs: 30_000 },
  );

  test(
    'a launcher that is killed leaves no process behind, and the next up cleans up',
    async ({ signal }) => {
      await using dataCenter = await StubDataCenter.create(WHOLE);
      const up = dataCenter.start('up');
      await up.said(UP);
      const { processes } = await dataCenter.record();
      assert.is(processes.length, 5);
      up.process.kill('SIGKILL');
      await allGone(processes, signal);
      assert.match(await dataCenter.log('storage-1'), /input ended/);
      assert.is((await dataCenter.run('status')).code, 5);
      const again = dataCenter.start('up');
      await again.said(UP);
      await dataCenter.run('down');
      const { code, stderr } = await again.ended;
      assert.is(code, 0);
      assert.match(stderr, /the launcher before \(pid \d+\) was killed/);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'down ends what a killed launcher left behind',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: { behaviour: 'deaf' } });
      const up = dataCenter.start('up');
      await up.said(UP);
      const [node] = (await dataCenter.record()).processes;
      if (!node) throw new Error('no process is recorded');
      // Frozen, it doesn't see that its launcher is gone.
      process.kill(node.pid, 'SIGSTOP');
      up.process.kill('SIGKILL');
      await up.ended;
      assert.is(await isRunning(node), true);
      const { code, stderr } = await dataCenter.run('down');
      assert.is(code, 0);
      assert.match(stderr, /stopped 1 process/);
      assert.is(await isRunning(node), false);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'a second up says that one is running',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      const up = dataCenter.start('up');
      await up.said(UP);
      const second = await dataCenter.run('up');
      assert.is(second.code, 1);
      assert.match(second.stderr, /is running already .*pid \d+/);
      const detached = await dataCenter.run('up', '--detach');
      assert.is(detached.code, 1);
      assert.match(detached.stderr, /is running already/);
      assert.not.match(await dataCenter.log('launcher'), /is running already/);
      assert.is((await members(dataCenter)).length, 1);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'up --detach returns when all serve, and down stops everything',
    async ({ signal }) => {
      await using dataCenter = await StubDataCenter.create(WHOLE);
      const up = await dataCenter.run('up', '--detach');
      assert.is(up.code, 0, up.stderr);
      assert.match(up.stdout, /storage-2 +storage/);
      const { processes, launcher, detached } = await dataCenter.record();
      assert.is(detached, true);
      assert.is(await isRunning(launcher), true);
      const down = await dataCenter.run('down');
      assert.is(down.code, 0, down.stderr);
      await allGone(processes, signal);
      assert.is(await isRunning(launcher), false);
      assert.is((await dataCenter.run('down')).code, 0);
    },
    { timeoutMs: 30_000 },
  );

  for (const how of [[], ['--detach']])
    test(
      `a node that dies during up${how.join(' ')} shows the end of its log and stops the rest`,
      async () => {
        await using dataCenter = await StubDataCenter.create({
          math: {},
          cnn: { behaviour: 'die' },
        });
        const { code, stderr, stdout } = await dataCenter.run('up', ...how);
        assert.is(code, 1);
        assert.is(stdout, '');
        assert.match(stderr, /cnn-1 died during the start \(exit code 7\); the end of its log:\n/);
        assert.match(stderr, /cnn-1 +ERROR stub dies why=settings/);
        assert.is((await dataCenter.run('status')).code, 5);
      },
      { timeoutMs: 30_000 },
    );

  test(
    'a node that dies later is started again, and up says so',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      const up = dataCenter.start('up');
      await up.said(UP);
      const [before] = (await dataCenter.record()).processes;
      process.kill(before?.pid ?? 0, 'SIGKILL');
      await up.said('math-1 died (signal SIGKILL); starting it again');
      await up.said('stub serves');
      const [after] = await members(dataCenter);
      assert.is(after?.state, 'SERVING');
      assert.is.not(after?.pid, before?.pid);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'a node that does not stop is killed after its grace period',
    async ({ signal }) => {
      await using dataCenter = await StubDataCenter.create({ math: { behaviour: 'deaf' } });
      const up = dataCenter.start('up');
      await up.said(UP);
      const { processes } = await dataCenter.record();
      up.process.kill('SIGINT');
      assert.is((await up.ended).code, 130);
      await allGone(processes, signal);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'a node started by hand gets the first free name, and down stops it too',
    async ({ signal }) => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      await dataCenter.run('up', '--detach');
      const node = dataCenter.start('node', 'math');
      await node.said('the log of the node follows');
      const found = await members(dataCenter);
      assert.equal(
        found.map(({ id, state }) => `${id} ${state}`),
        ['math-1 SERVING', 'math-2 SERVING'],
      );
      const unknown = await dataCenter.run('node', 'maths');
      assert.is(unknown.code, 3);
      assert.match(unknown.stderr, /did you mean math\?/);
      const { processes } = await dataCenter.record();
      assert.is((await dataCenter.run('down')).code, 0);
      assert.is((await node.ended).code, 0);
      await allGone(processes, signal);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'logs shows all members in order of time, one member, or what is near',
    async () => {
      await using dataCenter = await StubDataCenter.create(WHOLE);
      await dataCenter.run('up', '--detach');
      await dataCenter.run('down');
      const all = await dataCenter.run('logs', '--json');
      const times = [...all.stdout.matchAll(/"time":"([^"]+)"/g)].map((match) => match[1] ?? '');
      assert.ok(times.length >= 10);
      assert.equal(times, [...times].sort());
      const one = await dataCenter.run('logs', 'storage-1', '--lines', '1');
      assert.match(one.stdout, /^\S+ storage-1 +INFO {2}stub stops why=SIGTERM\n$/);
      const none = await dataCenter.run('logs', 'storage-7');
      assert.is(none.code, 3);
      assert.match(none.stderr, /did you mean storage-1\?/);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'logs shows the lines since the last up, and with --all those before',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      const starts = async (...options: string[]): Promise<number> => {
        const { stdout } = await dataCenter.run('logs', 'math-1', ...options);
        return [...stdout.matchAll(/stub serves/g)].length;
      };
      for (const expected of [1, 2]) {
        await dataCenter.run('up', '--detach');
        await dataCenter.run('down');
        assert.is(await starts(), 1);
        assert.is(await starts('--all'), expected);
      }
    },
    { timeoutMs: 30_000 },
  );

  test(
    'logs --follow ends with the data center, and says so',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      await dataCenter.run('up', '--detach');
      const logs = dataCenter.start('logs', '--follow');
      await logs.said('stub serves');
      await dataCenter.run('down');
      const { code, stdout, stderr } = await logs.ended;
      assert.is(code, 0);
      assert.match(stdout, /stub stops/);
      assert.match(stderr, /^the data center has stopped$/m);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'with ZooKeeper, a killed launcher leaves neither nodes nor servers behind',
    async ({ signal }) => {
      await using dataCenter = await StubDataCenter.create({ math: {} }, 'servers = 3');
      const up = dataCenter.start('up');
      await up.said(UP);
      const { processes, coordinator } = await dataCenter.record();
      assert.match(coordinator, /^zookeeper:\/\//);
      assert.equal(
        processes.map(({ name }) => name),
        ['zookeeper-1', 'zookeeper-2', 'zookeeper-3', 'math-1'],
      );
      up.process.kill('SIGKILL');
      await allGone(processes, signal);
    },
    { timeoutMs: 60_000, skip: !installation.ok && installation.remedy },
  );
});
