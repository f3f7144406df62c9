import { stat } from 'node:fs/promises';
import path from 'node:path';

import type { MemberStatus } from '../../../launcher/member-status.js';
import { assert, suite } from '../../suite.js';
import { StubDataCenter } from '../stub-data-center.js';

const UP = 'logs of the nodes follow';

async function members(dataCenter: StubDataCenter): Promise<Map<string, MemberStatus>> {
  const { stdout } = await dataCenter.run('status', '--json');
  const all = (JSON.parse(stdout) as { members: MemberStatus[] }).members;
  return new Map(all.map((one) => [one.id, one]));
}

suite('restarting members', (test) => {
  test(
    'a rolling restart takes one member at a time, followers before their leader',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {}, storage: { instances: 2 } });
      assert.is((await dataCenter.run('up', '--detach')).code, 0);
      const { mode } = await stat(path.join(dataCenter.statePath, 'control.sock'));
      assert.is(mode & 0o777, 0o600);
      const before = await members(dataCenter);
      const follower = before.get('storage-1')?.leader ? 'storage-2' : 'storage-1';
      const leader = follower === 'storage-1' ? 'storage-2' : 'storage-1';
      const { code, stdout, stderr } = await dataCenter.run('restart', '--rolling', '--json');
      assert.is(code, 0, stderr);
      const { restarted } = JSON.parse(stdout) as { restarted: { member: string; pid: number }[] };
      assert.equal(
        restarted.map(({ member }) => member),
        [follower, leader, 'math-1'],
      );
      const steps = [...stderr.matchAll(/^\[\d\/3\] (\S+) (finishes|stopped|serves)/gm)];
      assert.equal(
        steps.map(([, member, what]) => `${member ?? ''} ${what ?? ''}`),
        [follower, leader, 'math-1'].flatMap((member) =>
          ['finishes', 'stopped', 'serves'].map((what) => `${member} ${what}`),
        ),
      );
      const after = await members(dataCenter);
      for (const { member, pid } of restarted) {
        assert.is.not(pid, before.get(member)?.pid);
        assert.equal([after.get(member)?.pid, after.get(member)?.state], [pid, 'SERVING']);
      }
      assert.ok(after.get(follower)?.leader);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'it stops at the first member that does not come back, and says which it left alone',
    async () => {
      await using dataCenter = await StubDataCenter.create({
        math: {},
        storage: { behaviour: 'once' },
      });
      await dataCenter.run('up', '--detach');
      const before = await members(dataCenter);
      const { code, stderr } = await dataCenter.run('restart', '--rolling');
      assert.is(code, 1);
      assert.match(
        stderr,
        /storage-1 is not back: it died after its restart \(exit code 7\); .*logs storage-1 tells why; not restarted: math-1/,
      );
      const after = await members(dataCenter);
      assert.is(after.get('math-1')?.pid, before.get('math-1')?.pid);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'a node that dies for the first time is started again at once',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      const up = dataCenter.start('up');
      await up.said(UP);
      const [first] = (await dataCenter.record()).processes;
      process.kill(first?.pid ?? 0, 'SIGKILL');
      await up.said('math-1 died (signal SIGKILL); starting it again at once');
      await up.said('stub serves');
    },
    { timeoutMs: 30_000 },
  );

  test(
    'where another of its type takes its place it is started a moment later',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: { instances: 2 } });
      const up = dataCenter.start('up');
      await up.said(UP);
      const { processes } = await dataCenter.record();
      process.kill(processes.find(({ name }) => name === 'math-1')?.pid ?? 0, 'SIGKILL');
      await up.said('math-1 died (signal SIGKILL); starting it again in 400 ms');
      await up.said('stub serves');
    },
    { timeoutMs: 30_000 },
  );

  test(
    'who asks for what can not be restarted hears why',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      assert.is((await dataCenter.run('restart', 'math-1')).code, 5);
      await dataCenter.run('up', '--detach');
      const node = dataCenter.start('node', 'math');
      await node.said('the log of the node follows');
      for (const [args, code, text] of [
        [[], 2, /name the members, or --rolling/],
        [['math-1', '--rolling'], 2, /--rolling is for all members/],
        [['mth-1'], 3, /holds no node mth-1 \(did you mean math-1\?\); there are math-1\n/],
        [['math-2'], 1, /math-2 was started by hand .*: others can't restart it/],
      ] as const) {
        const result = await dataCenter.run('restart', ...args);
        assert.is(result.code, code, result.stderr);
        assert.match(result.stderr, text);
      }
      const rolling = await dataCenter.run('restart', '--rolling');
      assert.is(rolling.code, 0);
      assert.match(rolling.stderr, /left alone, because started by hand: math-2/);
    },
    { timeoutMs: 30_000 },
  );
});
