import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { assert, rejects, suite } from '../suite.js';
import { ForeignClient } from './foreign-client.js';
import { leavesNothing, LiveDataCenter, Shared } from './live-data-center.js';
import { Znodes } from './znodes.js';
import { whyNoZooKeeper } from '../zookeeper/ensemble-fixture.js';

const skip = await whyNoZooKeeper();
const shared = new Shared(() => LiveDataCenter.up());
const FOREGROUND = 'logs of the nodes follow';

async function ownSecret({ statePath }: LiveDataCenter): Promise<string> {
  return (await readFile(path.join(statePath, 'secret'), 'utf8')).trim();
}

function refused({ message }: Error): void {
  assert.match(message, /NO_AUTH/);
}

suite('the life of a data center', (test) => {
  test(
    'status says of members, leaders and epochs what ZooKeeper has',
    async () => {
      const dataCenter = await shared.get();
      const { coordinator, members } = await dataCenter.status();
      assert.is(coordinator, 'zookeeper');
      const { coordinator: url } = await dataCenter.record();
      const secret = await ownSecret(dataCenter);
      await using znodes = await Znodes.connect(url.replace('zookeeper://', ''), secret);
      const found = await znodes.members('fractory');
      assert.equal(
        members.map((member) => ({ ...member })),
        found.map(({ id, type, address, pid, epoch }) => {
          const first = found.find((one) => one.type === type);
          return { id, type, address, pid, leader: first?.id === id, epoch, state: 'SERVING' };
        }),
      );
      assert.equal(members.map(({ id }) => id).sort(), [
        ...['application-1', 'cnn-1', 'math-1', 'storage-1', 'storage-2'],
      ]);
    },
    { timeoutMs: 60_000, skip },
  );

  test(
    'whoever has not the secret can not read the members in ZooKeeper',
    async () => {
      const { coordinator } = await (await shared.get()).record();
      await using znodes = await Znodes.connect(coordinator.replace('zookeeper://', ''));
      const error = await rejects(znodes.members('fractory'), Error);
      assert.match(error.message, /NO_AUTH/);
    },
    { timeoutMs: 60_000, skip },
  );

  for (const [who, secret] of [
    ['nobody in particular', undefined],
    ['one who has another secret', 'another secret'],
  ] as const)
    test(
      `${who} can not change anything in ZooKeeper`,
      async () => {
        const dataCenter = await shared.get();
        const { coordinator } = await dataCenter.record();
        const before = await dataCenter.status();
        await using znodes = await Znodes.connect(coordinator.replace('zookeeper://', ''), secret);
        const root = '/fractory/fractory';
        const own = await ownSecret(dataCenter);
        await using owner = await Znodes.connect(coordinator.replace('zookeeper://', ''), own);
        const [name = ''] = await owner.children(`${root}/members/storage`);
        for (const path of [root, `${root}/members`, `${root}/members/storage`]) {
          await rejects(znodes.children(path), Error).then(refused);
          await rejects(znodes.create(`${path}/storage-9-0000000000`), Error).then(refused);
          await rejects(znodes.write(path), Error).then(refused);
          await rejects(znodes.open(path), Error).then(refused);
        }
        const member = `${root}/members/storage/${name}`;
        await rejects(znodes.read(member), Error).then(refused);
        await rejects(znodes.write(member), Error).then(refused);
        await rejects(znodes.remove(member), Error).then(refused);
        await rejects(znodes.open(member), Error).then(refused);
        assert.equal(await dataCenter.status(), before);
      },
      { timeoutMs: 60_000, skip },
    );

  test(
    'status without --json is a table on standard output alone',
    async () => {
      const { stdout } = await (await shared.get()).ok('status');
      const [header = '', ...rows] = stdout.trim().split('\n');
      assert.match(header, /^MEMBER +TYPE +ADDRESS +LEADER +EPOCH +PID +STATE$/);
      assert.is(rows.length, 5);
      assert.is(rows.filter((row) => row.includes('leader')).length, 4);
    },
    { timeoutMs: 60_000, skip },
  );

  test(
    'a second up is refused, in both ways, and harms nothing',
    async () => {
      const dataCenter = await shared.get();
      const before = await dataCenter.record();
      for (const how of [[], ['--detach']]) {
        const { code, stdout, stderr } = await dataCenter.run('up', ...how);
        assert.is(code, 1);
        assert.is(stdout, '');
        assert.match(stderr, /is running already/);
      }
      assert.equal(await dataCenter.record(), before);
    },
    { timeoutMs: 60_000, skip },
  );

  test(
    'apps lists the applications with one line each',
    async () => {
      const dataCenter = await shared.get();
      const { stdout } = await dataCenter.ok('apps');
      for (const name of ['image-prediction', 'shift-left', 'template'])
        assert.match(stdout, new RegExp(`^${name} +\\w.*$`, 'm'));
      const { applications } = await dataCenter.json<{ applications: unknown[] }>('apps');
      assert.is(stdout.trim().split('\n').length, applications.length);
    },
    { timeoutMs: 60_000, skip },
  );

  test(
    'logs shows what each member said, and knows what was meant',
    async () => {
      const dataCenter = await shared.get();
      const all = await dataCenter.ok('logs', '-n', '1000');
      for (const { id } of (await dataCenter.status()).members)
        assert.match(all.stdout, new RegExp(`${id} +INFO +node is serving`));
      const { stdout } = await dataCenter.ok('logs', 'math-1', '--json');
      const messages = stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { msg: string }).msg);
      assert.ok(messages.includes('node is serving'), messages.join('; '));
      const wrong = await dataCenter.run('logs', 'maths-1');
      assert.is(wrong.code, 3);
      assert.match(wrong.stderr, /did you mean math-1\?/);
    },
    { timeoutMs: 60_000, skip },
  );

  test(
    'down leaves no process behind, and commands then say that nothing runs',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      await dataCenter.ok('run', 'template', '--n', '12');
      const pids = await dataCenter.pids();
      assert.is(pids.length, 1 + 3 + 5);
      await dataCenter.ok('down');
      await dataCenter.nothingLeft(pids, signal);
      for (const command of [['status'], ['run', 'template'], ['node', 'math']]) {
        const { code, stderr } = await dataCenter.run(...command);
        assert.is(code, 5, command.join(' '));
        assert.match(stderr, /no data center is running .*\.\/datacenter up starts one/);
      }
      assert.is((await dataCenter.run('down')).code, 0);
    },
    { timeoutMs: 60_000, skip },
  );

  test(
    'files outlive down and up; Ctrl-C stops everything in order',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const up = dataCenter.start('up');
      await up.said(FOREGROUND);
      const pids = await dataCenter.pids();
      const storage = new ForeignClient((await dataCenter.leader('storage')).address);
      const file = { client: 'template', name: 'factorial-of-12.txt' };
      const [, content] = await storage.stream<{ chunk?: string }>('StorageService/Get', file);
      assert.is(Buffer.from(content?.chunk ?? '', 'base64').toString(), '479001600');

      up.signal('SIGINT');
      const { code, stdout, stderr } = await up.ended;
      assert.is(code, 130, stderr);
      await dataCenter.nothingLeft(pids, signal);
      assert.match(stderr, /everything is stopped/);
      assert.not.match(`${stdout}${stderr}`, / (ERROR|FATAL) /);
    },
    { timeoutMs: 60_000, skip },
  );

  test(
    'a launcher that is killed leaves nothing behind, and the next up is not in its way',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const up = dataCenter.start('up');
      await up.said(FOREGROUND);
      const [launcher = 0, ...others] = await dataCenter.pids();
      assert.is(launcher, up.pid);
      process.kill(launcher, 'SIGKILL');
      await dataCenter.nothingLeft(others, AbortSignal.any([signal, AbortSignal.timeout(10_000)]));
      assert.is((await dataCenter.run('status')).code, 5);
      const again = await dataCenter.ok('up', '--detach');
      assert.match(again.stderr, /the launcher before \(pid \d+\) was killed/);
    },
    { timeoutMs: 150_000, skip },
  );

  leavesNothing(test, shared, { timeoutMs: 60_000, skip });
});
