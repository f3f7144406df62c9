import { once } from 'node:events';
import { connect } from 'node:net';

import { SerfAgent, withoutSerf } from '../../../bench/interop/serf-agent.js';
import { lan } from '../../../gossip/core/profile.js';
import { SerfMember } from '../../../gossip/serf/serf-member.js';
import { decodeTags, encodeTags } from '../../../gossip/serf/tags.js';
import { MessageType } from '../../../gossip/wire/messages.js';
import { encodeHeader, encodeMember } from '../../../gossip/wire/push-pull.js';
import { sealStream } from '../../../gossip/wire/stream.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

/** More than a table that is full is kept for. */
const MEMBERS = 5000;
/** Nothing happens but what the test asks for. */
const quiet = {
  ...lan,
  probeIntervalMs: 600_000,
  gossipIntervalMs: 600_000,
  pushPullIntervalMs: 0,
};

const random = seededRandom(5);
const below = (limit: number): number => Math.floor(random() * limit);
const hex = (): string =>
  below(2 ** 32)
    .toString(16)
    .padStart(8, '0');
/** Of nobody: where they should be nobody listens. */
const crowd = Array.from({ length: MEMBERS }, (_, at) => ({
  ...{ name: `edge-${String(at)}-${hex()}`, incarnation: 1 + below(9), port: 7946 },
  address: Uint8Array.of(127, 200, at >> 8, at & 255),
  meta: encodeTags({ role: 'edge', dc: `site-${String(below(20))}`, id: hex() }),
  ...{ versions: Uint8Array.of(1, 5, 2, 2, 5, 5), state: 'alive' as const },
}));

/** Says them all to a member of ours. */
async function tell(port: number, host: string): Promise<void> {
  const header = encodeHeader({ members: MEMBERS, userStateBytes: 0, join: false });
  const all = crowd.map((member) => encodeMember(member));
  const plain = Buffer.concat([Uint8Array.of(MessageType.pushPull), header, ...all]);
  const wire = {
    ...{ label: new Uint8Array(), keyring: undefined },
    ...{ verifyIncoming: true, compress: true },
  };
  const steps = sealStream(plain, wire, true);
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  const socket = connect(port, host);
  socket.resume();
  socket.write(step.value);
  await once(socket, 'close');
}

suite('a large state', (test) => {
  test(
    'is read by an agent of Serf as it was packed here, and here as it was packed there',
    async () => {
      await using agent = await SerfAgent.start('serf1', '127.0.93.1');
      const start = (name: string, bind: string) =>
        SerfMember.create({ name, bind, port: 7946, profile: quiet });
      const [first, late] = ['127.0.93.11', '127.0.93.12'] as const;
      await using known = await start('known', first);
      await tell(7946, first);
      assert.is(known.members().length, MEMBERS + 1);
      await known.join([agent.address]);
      let lines: readonly string[] = [];
      while (lines.length < MEMBERS + 2) lines = (await agent.ask('members')).trim().split('\n');
      const shown = new Map(lines.map((line) => [line.split(' ', 1)[0], line]));
      for (const { name, address, meta } of crowd) {
        const line = shown.get(name) ?? '';
        assert.ok(line.includes(`${address.join('.')}:7946 `), `${name}: ${line}`);
        assert.ok(line.includes(`id=${decodeTags(meta)['id'] ?? ''}`), line);
      }
      await using joiner = await start('late', late);
      await joiner.join([agent.address]);
      const heard = new Map(joiner.members().map((member) => [member.name, member]));
      for (const { name, meta, address } of crowd) {
        assert.equal(Buffer.from(heard.get(name)?.meta ?? []), Buffer.from(meta));
        assert.equal(Buffer.from(heard.get(name)?.address ?? []), Buffer.from(address));
      }
    },
    { skip: withoutSerf(), timeoutMs: 60_000 },
  );
});
