import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';

import { projectRoot } from '../../../config/paths.js';
import { lan } from '../../../gossip/core/profile.js';
import type { MemberChange } from '../../../gossip/core/membership.js';
import { SerfMember } from '../../../gossip/serf/serf-member.js';
import type { SerfOptions } from '../../../gossip/serf/serf-member.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import { SerfAgent, withoutSerf } from '../../../bench/interop/serf-agent.js';
import { assert, rejects, suite } from '../../suite.js';

const skip = withoutSerf();
const LONG = { skip, timeoutMs: 60_000 };

/** A member of ours that tells of changes. */
async function ours(options: SerfOptions) {
  const heard: string[] = [];
  let wake = (): void => undefined;
  const member = await SerfMember.create({
    ...{ profile: lan, port: 7946, ...options },
    onChange: ({ kind, member: { name } }: MemberChange) => {
      heard.push(`${kind} ${name}`);
      wake();
    },
  });
  const until = async (what: string): Promise<void> => {
    while (!heard.includes(what))
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  return { member, heard, until, [Symbol.asyncDispose]: () => member.stop() };
}

suite('among agents of Serf', (test) => {
  test(
    'a member of ours is alive with its tags, and left when it leaves; who dies and who leaves there is seen here',
    async () => {
      await using first = await SerfAgent.start('serf1', '127.0.78.1', ['-tag', 'role=seed']);
      await using second = await SerfAgent.start('serf2', '127.0.78.2', [`-join=${first.address}`]);
      await using third = await SerfAgent.start('serf3', '127.0.78.3', [`-join=${first.address}`]);
      const tags = { role: 'storage', type: 'fractory' };
      await using one = await ours({ name: 'ts1', bind: '127.0.78.11', tags });
      await using two = await ours({ name: 'ts2', bind: '127.0.78.12' });
      assert.is(await one.member.join([first.address]), 1);
      assert.is(await two.member.join([second.address]), 1);
      const all = ['serf1', 'serf2', 'serf3', 'ts1', 'ts2'];
      for (const agent of [first, second, third])
        await agent.until((members) => all.every((name) => members[name]?.status === 'alive'));
      assert.equal((await second.members())['ts1']?.tags, tags);
      await one.until('join serf3');
      const seed = one.member.members().find(({ name }) => name === 'serf1');
      assert.equal(seed?.tags, { role: 'seed' });
      await third[Symbol.asyncDispose]();
      await Promise.all([one.until('fail serf3'), two.until('fail serf3')]);
      await first.until((members) => members['serf3']?.status === 'failed');
      await two.member.leave();
      await two.member.stop();
      await first.until((members) => members['ts2']?.status === 'left');
      await one.until('leave ts2');
      await second.leave();
      await one.until('leave serf2');
      assert.not.ok(one.heard.some((what) => /^fail (serf1|serf2|ts2)$/.test(what)));
    },
    LONG,
  );

  test(
    'with a key of 16, 24 or 32 bytes they understand each other, with another one they do not',
    async () => {
      for (const [at, bytes] of [16, 24, 32].entries()) {
        const key = randomBytes(bytes);
        const host = `127.0.79.${String(at + 1)}`;
        const options = [`-encrypt=${key.toString('base64')}`];
        await using agent = await SerfAgent.start('serf1', host, options);
        const bind = `127.0.79.${String(at + 11)}`;
        await using one = await ours({ name: 'ts1', bind, keyring: new Keyring([key]) });
        await one.member.join([agent.address]);
        await agent.until((members) => members['ts1']?.status === 'alive');
        const keyring = new Keyring([randomBytes(bytes)]);
        await using stranger = await ours({
          name: 'x',
          bind: `127.0.79.${String(at + 21)}`,
          keyring,
        });
        await rejects(stranger.member.join([agent.address]), Error);
        assert.not.ok((await agent.members())['x']);
      }
    },
    LONG,
  );

  test(
    'agents of both kinds come late, are killed, leave and are restarted, and every list is right in time',
    async () => {
      const program = path.join(projectRoot, 'dist/bench/interop/main.js');
      const args = [program, '--for', '15s', '--subnet', '127.0.92', '--json'];
      const run = promisify(execFile)(process.execPath, args);
      // It ends with another code where a list was wrong, and says which.
      const { stdout } = await run.catch((error: unknown) => error as { stdout: string });
      const found = JSON.parse(stdout) as { violations: unknown[]; outcomes: unknown[] };
      assert.equal(found.violations, []);
      assert.is(found.outcomes.length, 10);
    },
    { skip, timeoutMs: 180_000 },
  );
});
