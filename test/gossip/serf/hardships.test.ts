import { createSocket } from 'node:dgram';

import { asked } from '../../../bench/fuzz/gossip/serf-eyes.js';
import { Front } from '../../../bench/interop/front.js';
import { SerfAgent, withoutSerf } from '../../../bench/interop/serf-agent.js';
import { shortestSuspicionMs } from '../../../gossip/core/formulas.js';
import { lan } from '../../../gossip/core/profile.js';
import { Memberlist } from '../../../gossip/memberlist.js';
import type { MemberlistOptions } from '../../../gossip/memberlist-options.js';
import { SerfMember } from '../../../gossip/serf/serf-member.js';
import { encodeMessage } from '../../../gossip/wire/messages.js';
import { sleep } from '../../../runtime/deadline.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, rejects, suite } from '../../suite.js';

const LONG = { skip: withoutSerf(), timeoutMs: 60_000 };
const PLAIN = {
  label: new Uint8Array(),
  keyring: undefined,
  ...{ verifyIncoming: false, compress: false },
};

/** What agents tell each other of a member in an exchange: its incarnation, and whether it is thought to live. */
async function toldOf(name: string, host: string): Promise<{ incarnation: number; state: string }> {
  const told = await asked(7946, PLAIN, 5000, host);
  const found = told?.members.find((member) => member.name === name);
  return found ?? { incarnation: 0, state: 'unknown' };
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20);
}

/** Anybody may say it where there is no key. */
async function forgedSuspicion(about: string, incarnation: number, to: string): Promise<void> {
  const udp = createSocket('udp4');
  const accusation = { kind: 'suspect', incarnation, name: about, from: 'nobody' } as const;
  await new Promise((resolve) => {
    udp.send(encodeMessage(accusation), 7946, to, resolve);
  });
  udp.close();
}

suite('hardships among agents of Serf', (test) => {
  test(
    'who speaks another delegate version is refused by them, and refuses them, whoever of the two joins',
    async () => {
      await using agent = await SerfAgent.start('serf1', '127.0.85.1');
      const bind = '127.0.85.11';
      const strangers: Partial<MemberlistOptions>[] = [
        // None at all, as plain members; and newer ones.
        {},
        { delegateVersions: [6, 7, 7] },
      ];
      for (const versions of strangers) {
        await using stranger = await Memberlist.create({ name: 'x', bind, ...versions });
        await rejects(stranger.join([agent.address]), Error);
        assert.ok((stranger.counts.dropped.get('refused') ?? 0) > 0);
        await rejects(agent.ask('join', `${bind}:7946`), Error);
        assert.equal(Object.keys(await agent.members()), ['serf1']);
        assert.is(stranger.members().length, 1);
      }
    },
    LONG,
  );

  test(
    'a forged suspicion about one of ours, and about one of theirs, is refuted with a higher incarnation, and nobody fails',
    async () => {
      const [theirs, bind] = ['127.0.86.1', '127.0.86.11'];
      await using agent = await SerfAgent.start('serf1', theirs);
      const failed: string[] = [];
      await using one = await SerfMember.create({
        ...{ name: 'ts1', bind, port: 7946, profile: lan },
        onChange: ({ kind, member }) => {
          if (kind === 'fail') failed.push(member.name);
        },
      });
      await one.join([agent.address]);
      await agent.until((members) => members['ts1']?.status === 'alive');
      const { list } = one;
      const before = list.localMember().incarnation;
      await forgedSuspicion('ts1', before, theirs);
      await until(() => list.counts.refuted > 0);
      assert.ok(list.localMember().incarnation > before);
      await until(async () => {
        const { incarnation, state } = await toldOf('ts1', theirs);
        return incarnation > before && state === 'alive';
      });
      const known = list.member('serf1')?.incarnation ?? 0;
      await forgedSuspicion('serf1', known, bind);
      await until(() => {
        const { incarnation = 0, state } = list.member('serf1') ?? {};
        return incarnation > known && state === 'alive';
      });
      assert.equal(failed, []);
      assert.not.match(agent.log, /EventMemberFailed/);
    },
    LONG,
  );

  test(
    'where a tenth of all packets is lost, comes twice or comes late, and one hears nothing of another, nobody fails and events arrive',
    async () => {
      const random = seededRandom(3);
      const [ours, theirs] = ['127.0.87.11', '127.0.87.1'];
      await using front = await Front.open('127.0.87.111', ours, random);
      await using other = await Front.open('127.0.87.101', theirs, random);
      await using agent = await SerfAgent.start('serf1', theirs, ['-advertise=127.0.87.101:7946']);
      await using third = await SerfAgent.start('serf2', '127.0.87.2', ['-join=127.0.87.101:7946']);
      const failed: string[] = [];
      const heard: string[] = [];
      await using one = await SerfMember.create({
        ...{ name: 'ts1', bind: ours, port: 7946, profile: lan, advertise: '127.0.87.111:7946' },
        onChange: ({ kind, member }) => {
          if (kind === 'fail') failed.push(member.name);
        },
        onEvent: ({ name }) => heard.push(name),
      });
      const bad = { loss: 0.1, duplicates: 0.1, late: 0.1 };
      front.weather = bad;
      // Answers of ours too: all of it is lost.
      other.weather = { ...bad, loss: 1, from: ours };
      await one.join(['127.0.87.101:7946']);
      for (const each of [agent, third])
        await each.until((members) => members['ts1']?.status === 'alive');
      for (const name of ['first', 'second', 'third']) {
        await third.ask('event', '-coalesce=false', name);
        await until(() => heard.includes(name));
        assert.is(heard.filter((what) => what === name).length, 1);
      }
      // Longer than whoever found no way but the bad one would be a suspect for.
      await sleep(shortestSuspicionMs(lan, 3) + 2 * lan.probeIntervalMs);
      // Few packets go, so that by chance it may take a while.
      await until(() => other.counts.lost > 0 && front.counts.doubled > 0 && front.counts.lost > 0);
      assert.equal(failed, []);
      for (const each of [agent, third]) assert.not.match(each.log, /EventMemberFailed/);
    },
    LONG,
  );
});
