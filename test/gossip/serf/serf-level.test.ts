import { randomBytes } from 'node:crypto';

import { SerfAgent, withoutSerf } from '../../../bench/interop/serf-agent.js';
import type { MemberChange } from '../../../gossip/core/membership.js';
import { lan } from '../../../gossip/core/profile.js';
import type { UserEvent } from '../../../gossip/serf/events.js';
import { SerfMember } from '../../../gossip/serf/serf-member.js';
import type { SerfOptions } from '../../../gossip/serf/serf-member.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import { sleep } from '../../../runtime/deadline.js';
import { assert, suite } from '../../suite.js';
import { Changes } from '../changes.js';

const LONG = { skip: withoutSerf(), timeoutMs: 60_000 };

/** A member of ours, with what it hears. */
async function ours(options: SerfOptions) {
  const events: UserEvent[] = [];
  const changes: string[] = [];
  const news = new Changes();
  const member = await SerfMember.create({
    ...{ profile: lan, port: 7946, ...options },
    onEvent: (event) => {
      events.push(event);
      news.happened();
    },
    onChange: ({ kind, member: { name } }: MemberChange) => {
      changes.push(`${kind} ${name}`);
      news.happened();
    },
  });
  const until = (isSo: () => boolean): Promise<void> => news.until(isSo);
  return { member, events, changes, until, [Symbol.asyncDispose]: () => member.stop() };
}

/** Of what nobody tells. */
async function polled(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(20);
}

/** An agent at each end, and one of ours between them: the agents have only met through it. */
async function between(subnet: string, options: Partial<SerfOptions> = {}, flags: string[] = []) {
  const one = await ours({ name: 'ts1', bind: `${subnet}.11`, ...options });
  const join = `-join=${subnet}.11:7946`;
  const first = await SerfAgent.start('serf1', `${subnet}.1`, [join, ...flags]);
  const second = await SerfAgent.start('serf2', `${subnet}.2`, [join, ...flags]);
  const all = ['serf1', 'serf2', 'ts1'];
  for (const agent of [first, second])
    await agent.until((members) => all.every((name) => members[name]?.status === 'alive'));
  return {
    ...{ one, first, second },
    async [Symbol.asyncDispose]() {
      await Promise.all([first, second, one].map((each) => each[Symbol.asyncDispose]()));
    },
  };
}

suite('at the level of Serf', (test) => {
  test(
    'an event of an agent is heard once and passed on, and one of ours reaches agents',
    async () => {
      await using cluster = await between('127.0.80', {}, ['-log-level=debug']);
      const { one, first, second } = cluster;
      await first.ask('event', 'deploy', 'v1');
      await one.until(() => one.events.length > 0);
      await first.ask('event', '-coalesce=false', 'deploy', 'v2');
      await one.until(() => one.events.length > 1);
      one.member.event('hello', Buffer.from('from ours'));
      for (const agent of [first, second]) await agent.printed('messageUserEventType: hello');
      assert.equal(
        one.events.map(({ name, payload, coalesce }) => [
          name,
          Buffer.from(payload).toString(),
          coalesce,
        ]),
        [
          ['deploy', 'v1', true],
          ['deploy', 'v2', false],
        ],
      );
      assert.ok(one.events[1]!.time > one.events[0]!.time);
    },
    LONG,
  );

  test(
    'queries are acknowledged, also those for names and tags, and relayed answers arrive',
    async () => {
      const tags = { role: 'edge' };
      await using cluster = await between('127.0.81', { tags });
      const { first } = cluster;
      const reached = await first.ask('reachability');
      assert.match(reached, /Successfully contacted all live nodes/);
      const acked = async (...flags: string[]): Promise<boolean> =>
        (await first.ask('query', '-timeout=1s', ...flags, 'load')).includes("Ack from 'ts1'");
      assert.ok(await acked('-node=ts1'));
      assert.not.ok(await acked('-node=serf2'));
      assert.ok(await acked('-tag=role=e.*'));
      assert.not.ok(await acked('-tag=role=x.*'));
      assert.ok(await acked('-relay-factor=2'));
    },
    LONG,
  );

  test(
    'round trips are estimated on both sides by network coordinates',
    async () => {
      await using cluster = await between('127.0.82');
      const { one, first } = cluster;
      await polled(() => one.member.roundTripMs('serf1') !== undefined);
      await polled(() => one.member.coordinate.error < 1.5);
      for (let said = ''; !said.includes('Estimated');) {
        said = await first.ask('rtt', 'ts1', 'serf1').catch(() => '');
        await sleep(200);
      }
      const [, ms = 'x'] = /rtt: ([\d.]+) ms/.exec(await first.ask('rtt', 'ts1')) ?? [];
      assert.ok(Number(ms) > 0 && Number(ms) < 1000, ms);
    },
    LONG,
  );

  test(
    'who failed and is forced to leave has left here too, and with -prune is shown no more',
    async () => {
      await using cluster = await between('127.0.83');
      const { one, first, second } = cluster;
      // With three that stay, two confirm what the third suspects.
      await using two = await ours({ name: 'ts2', bind: '127.0.83.12' });
      await two.member.join([first.address]);
      const third = await SerfAgent.start('serf3', '127.0.83.3', [`-join=${first.address}`]);
      const fourth = await SerfAgent.start('serf4', '127.0.83.4', [`-join=${first.address}`]);
      await one.until(() =>
        ['join serf3', 'join serf4'].every((what) => one.changes.includes(what)),
      );
      await Promise.all([second.kill(), third.kill(), fourth.kill()]);
      const gone = ['serf2', 'serf3', 'serf4'];
      await one.until(() => gone.every((name) => one.changes.includes(`fail ${name}`)));
      await first.until((members) => gone.every((name) => members[name]?.status === 'failed'));
      one.member.forceLeave('serf4');
      await first.until((members) => members['serf4']?.status === 'left');
      await first.ask('force-leave', 'serf2');
      await one.until(() => one.changes.includes('leave serf2'));
      const stateOf = (name: string): string | undefined =>
        one.member.members().find((member) => member.name === name)?.state;
      assert.is(stateOf('serf2'), 'left');
      await first.ask('force-leave', '-prune', 'serf3');
      await polled(() => stateOf('serf3') === undefined);
      // One that comes now hears of who left by the exchange.
      await using late = await ours({ name: 'ts3', bind: '127.0.83.13' });
      await late.member.join(['127.0.83.11:7946']);
      assert.not.ok(late.member.members().some(({ state }) => state === 'dead'));
      await one.member.leave();
      await first.until((members) => members['ts1']?.status === 'left');
    },
    LONG,
  );

  test(
    'keys are rotated from either side while all stay members',
    async () => {
      const [old, fresh] = [randomBytes(16), randomBytes(16)];
      const base64 = (key: Buffer): string => key.toString('base64');
      const keyring = new Keyring([old]);
      const flags = [`-encrypt=${base64(old)}`];
      await using cluster = await between('127.0.84', { keyring }, flags);
      const { one, first, second } = cluster;
      await first.ask('keys', `-install=${base64(fresh)}`);
      await first.ask('keys', `-use=${base64(fresh)}`);
      await first.ask('keys', `-remove=${base64(old)}`);
      assert.equal(
        keyring.keys.map((key) => base64(Buffer.from(key))),
        [base64(fresh)],
      );
      assert.match(await second.ask('keys', '-list'), /\[3\/3\]|3\/3/);
      one.member.event('after', Buffer.from('rotation'));
      await second.until((members) => members['ts1']?.status === 'alive');
      assert.not.ok(one.changes.some((what) => what.startsWith('fail')));
    },
    LONG,
  );

  test(
    'keys are rotated by the keyrings of three of ours and one agent, one member after the other',
    async () => {
      const [old, fresh] = [randomBytes(32), randomBytes(32)];
      const keyOf = (key: Buffer): string => key.toString('base64');
      const flags = [`-encrypt=${keyOf(old)}`, '-log-level=debug'];
      await using agent = await SerfAgent.start('serf1', '127.0.85.1', flags);
      const optionsOf = (at: number): SerfOptions & { keyring: Keyring } => ({
        ...{ name: `ts${String(at)}`, bind: `127.0.85.${String(10 + at)}` },
        keyring: new Keyring([old]),
      });
      const all = [1, 2, 3].map(optionsOf);
      await using one = await ours(all[0]!);
      await using two = await ours(all[1]!);
      await using three = await ours(all[2]!);
      for (const { member } of [one, two, three]) await member.join([agent.address]);
      await agent.until((seen) => all.every(({ name }) => seen[name]?.status === 'alive'));
      const steps: [(keyring: Keyring) => Promise<void>, string][] = [
        [(keyring) => keyring.add(fresh), `-install=${keyOf(fresh)}`],
        [(keyring) => keyring.use(fresh), `-use=${keyOf(fresh)}`],
        [(keyring) => keyring.remove(old), `-remove=${keyOf(old)}`],
      ];
      for (const [at, [change, flag]] of steps.entries()) {
        for (const [turn, { keyring }] of all.entries()) {
          await change(keyring);
          const name = `step-${String(at)}-${String(turn)}`;
          one.member.event(name, Buffer.from('said meanwhile'));
          for (const { events, until } of [two, three])
            await until(() => events.some((event) => event.name === name));
          await agent.printed(`messageUserEventType: ${name}`);
        }
        await agent.ask('keys', flag);
      }
      for (const { changes } of [one, two, three])
        assert.not.ok(changes.some((what) => /^(fail|leave)/.test(what)));
    },
    LONG,
  );
});
