import { connect } from 'node:net';

import { lan } from '../../../gossip/core/profile.js';
import { Memberlist } from '../../../gossip/memberlist.js';
import { MessageType } from '../../../gossip/wire/messages.js';
import { encodeHeader, encodeMember } from '../../../gossip/wire/push-pull.js';
import type { RemoteMember } from '../../../gossip/wire/push-pull.js';
import { StreamDecoder } from '../../../gossip/wire/stream.js';
import { assert, suite } from '../../suite.js';

/** Nothing happens but what a test asks for. */
const profile = {
  ...lan,
  probeIntervalMs: 600_000,
  gossipIntervalMs: 600_000,
  pushPullIntervalMs: 0,
};
const wire = {
  ...{ label: new Uint8Array(), keyring: undefined },
  ...{ verifyIncoming: true, compress: true },
};

function memberAt(place: number): RemoteMember {
  return {
    ...{ name: `m${String(place)}`, incarnation: 5, port: 7946, state: 'alive' },
    address: Uint8Array.of(127, 201, 0, place),
    ...{ meta: Buffer.from('tag'), versions: Uint8Array.of(1, 5, 2, 0, 0, 0) },
  };
}

/** Says these to a member that listens on this port; returns those of whom it tells in its answer. */
async function exchange(
  port: number,
  said: readonly RemoteMember[],
  join: boolean,
): Promise<readonly RemoteMember[]> {
  const header = encodeHeader({ members: said.length, userStateBytes: 0, join });
  const all = said.map((member) => encodeMember(member));
  const socket = connect(port, '127.0.0.1');
  socket.write(Buffer.concat([Uint8Array.of(MessageType.pushPull), header, ...all]));
  const decoder = new StreamDecoder({ ...wire, expectsLabel: false });
  const told: RemoteMember[] = [];
  for await (const chunk of socket) {
    decoder.push(chunk as Buffer);
    for (let item = decoder.next(); item !== 'wait' && item !== 'end'; item = decoder.next())
      if (item !== 'more' && item.kind === 'member') told.push(item.member);
  }
  return told;
}

suite('the answer to an exchange', (test) => {
  const crowd = Array.from({ length: 50 }, (_, place) => memberAt(place));

  test('tells nobody of whom the same was just said but the one who answers, and to who joins it tells all', async () => {
    await using list = await Memberlist.create({ name: 'here', port: 0, profile });
    const { port } = list.localMember();
    assert.equal(namesOf(await exchange(port, crowd, false)), ['here']);
    assert.is(list.members().length, 51);
    assert.equal(namesOf(await exchange(port, crowd, false)), ['here']);
    assert.is((await exchange(port, crowd, true)).length, 51);
  });

  test('tells of everybody who is known otherwise', async () => {
    await using list = await Memberlist.create({ name: 'here', port: 0, profile });
    const { port } = list.localMember();
    await exchange(port, crowd, false);
    const [same, older, retagged, moved, upgraded, suspected, ...others] = crowd;
    assert.ok(same && older && retagged && moved && upgraded && suspected);
    const said = [
      same,
      { ...older, incarnation: 4 },
      { ...retagged, meta: Buffer.from('gat') },
      { ...moved, port: 7947 },
      { ...upgraded, versions: Uint8Array.of(1, 5, 3, 0, 0, 0) },
      { ...suspected, state: 'suspect' as const },
      ...others.slice(1),
    ];
    const told = await exchange(port, said, false);
    const unsaid = others[0]?.name ?? '';
    assert.equal(namesOf(told), ['here', 'm1', 'm2', 'm3', 'm4', 'm5', unsaid].sort());
    assert.is(told.find(({ name }) => name === older.name)?.incarnation, 5);
  });
});

function namesOf(members: readonly RemoteMember[]): readonly string[] {
  return members.map(({ name }) => name).sort();
}
