import { GossipMember } from '../../../gossip/core/gossip-member.js';
import type { Drop } from '../../../gossip/core/drop.js';
import type { Endpoint, MemberView } from '../../../gossip/core/member.js';
import { lan } from '../../../gossip/core/profile.js';
import type { Profile } from '../../../gossip/core/profile.js';
import { VirtualTime } from '../../../gossip/simulator/virtual-time.js';
import type { Alive, IndirectPing, Message } from '../../../gossip/wire/messages.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

const versions = Uint8Array.of(1, 5, 2, 0, 0, 0);
const endpointOf = (last: number): Endpoint => ({
  ...{ address: Uint8Array.of(10, 0, 0, last), port: 7946 },
});
const aliveOf = (name: string, last: number): Alive & { readonly kind: 'alive' } => ({
  ...{ kind: 'alive', name, incarnation: 1, ...endpointOf(last), meta: new Uint8Array(), versions },
});
const askedFor = (sequence: number): IndirectPing & Message => {
  const { address: target, port } = endpointOf(3);
  const source = { sourceAddress: new Uint8Array(), sourcePort: 0, sourceName: '' };
  return { kind: 'indirectPing', sequence, target, port, name: 'gone', nack: true, ...source };
};

interface Sent {
  readonly to: Endpoint;
  readonly message: Message;
}

/** A member named me whose words are written down; over TCP it reaches nobody unless said. */
function memberOf(changes: Partial<Profile> = {}, answersByTcp = false) {
  const time = new VirtualTime();
  const sent: Sent[] = [];
  const drops: Drop[] = [];
  const profile = { ...lan, ...changes };
  const member = new GossipMember({
    ...{ name: 'me', endpoint: endpointOf(1), meta: new Uint8Array(), versions, profile },
    ...{ clock: time, random: seededRandom(3) },
    transport: {
      overheadBytes: 0,
      send: (to, messages) => {
        for (const message of messages) sent.push({ to, message });
      },
      pingByTcp: (_, __, answered) => {
        if (answersByTcp) answered();
      },
      exchange: () => Promise.resolve(),
    },
    onDrop: (why) => drops.push(why),
  });
  member.start();
  const kinds = (): string[] => sent.splice(0).map(({ message }) => message.kind);
  const viewOf = (name: string): MemberView | undefined => member.table.get(name);
  return { time, member, sent, drops, kinds, viewOf };
}

const from = endpointOf(2);

suite('gossip member', (test) => {
  test('stalls leave nothing behind: after thousands others still get their pings', () => {
    const { time, member, sent, drops } = memberOf();
    member.receive([aliveOf('a', 2)], from);
    for (let stall = 0; stall < 3000; stall++) {
      time.runUntil(time.monotonicMs() + 1100);
      member.stalled(600);
    }
    sent.length = 0;
    member.receive([askedFor(7)], from);
    assert.ok(sent.some(({ message }) => message.kind === 'ping' && message.name === 'gone'));
    assert.not(drops.includes('over_limit'));
  });

  test('a ping for somebody else ends with the member: nothing is said after the stop', () => {
    const { time, member, kinds } = memberOf();
    member.receive([askedFor(7)], from);
    member.stop();
    kinds();
    time.runUntil(5000);
    assert.equal(kinds(), []);
  });

  test('who asked hears that nobody answered, or the answer under its own number', () => {
    const { time, member, sent } = memberOf();
    const ask = (): number => {
      member.receive([askedFor(7)], from);
      const ping = sent.map(({ message }) => message).findLast(({ kind }) => kind === 'ping');
      return ping?.kind === 'ping' ? ping.sequence : -1;
    };
    member.receive([{ kind: 'ack', sequence: ask(), payload: new Uint8Array() }], endpointOf(3));
    ask();
    time.runUntil(600);
    const told = sent.filter(({ message }) => message.kind === 'ack' || message.kind === 'nack');
    assert.equal(
      told.map(({ to, message }) => ({ to: to.address[3], ...message })),
      [
        { to: 2, kind: 'ack', sequence: 7, payload: new Uint8Array() },
        { to: 2, kind: 'nack', sequence: 7 },
      ],
    );
  });

  test('helpers that are silent make a member doubt itself; a nack that comes twice counts once', () => {
    for (const [nacks, score] of [
      [0, 3],
      [3, 0],
      [9, 0],
    ] as const) {
      const { time, member, sent } = memberOf();
      for (const [at, name] of ['a', 'b', 'c', 'd'].entries())
        member.receive([aliveOf(name, 10 + at)], from);
      const isAsked = (): Sent | undefined =>
        sent.find(({ message }) => message.kind === 'indirectPing');
      while (!isAsked()) time.runUntil(time.monotonicMs() + 10);
      const asked = isAsked()?.message;
      if (asked?.kind !== 'indirectPing') throw new Error('nobody was asked to help');
      for (let nack = 0; nack < nacks; nack++)
        member.receive([{ kind: 'nack', sequence: asked.sequence }], from);
      time.runUntil(time.monotonicMs() + 501);
      assert.is(member.awareness.score, score, `${String(nacks)} nacks`);
    }
  });

  test('an answer over TCP is an answer: the member trusts itself more', () => {
    const { time, member, viewOf } = memberOf({}, true);
    member.receive([aliveOf('a', 2)], from);
    member.awareness.add(2);
    time.runUntil(7000);
    assert.is(member.awareness.score, 0);
    assert.is(viewOf('a')?.state, 'alive');
  });

  test('whoever is gone for long is forgotten, whether exchanges come or not', () => {
    for (const pushPullIntervalMs of [0, lan.pushPullIntervalMs]) {
      const { time, member, viewOf } = memberOf({ pushPullIntervalMs }, true);
      member.receive([aliveOf('a', 2), aliveOf('b', 3)], from);
      member.receive([{ kind: 'dead', name: 'a', incarnation: 1, from: 'b' }], from);
      time.runUntil(2 * lan.gossipToTheDeadMs - 1000);
      assert.is(viewOf('a')?.state, 'dead');
      time.runUntil(4 * lan.gossipToTheDeadMs);
      assert.is(viewOf('a'), undefined, String(pushPullIntervalMs));
      assert.is(viewOf('b')?.state, 'alive');
    }
  });

  test('a goodbye is said once, whoever asks again waits for the same; tags change no more', async () => {
    const { time, member, viewOf, kinds } = memberOf();
    member.receive([aliveOf('a', 2)], from);
    const goodbye = member.leave();
    assert.is(member.leave(), goodbye);
    time.runUntil(5000);
    await goodbye;
    assert.ok(kinds().includes('dead'));
    await member.updateMeta(Uint8Array.of(1));
    assert.is(viewOf('me')?.state, 'left');
    time.runUntil(10_000);
    assert.not(kinds().includes('alive'));
  });

  test('an accusation that nobody could answer counts for nothing', () => {
    const { member, viewOf, drops } = memberOf();
    member.receive([aliveOf('a', 2)], from);
    for (const name of ['me', 'a'])
      for (const kind of ['suspect', 'dead'] as const)
        member.receive([{ kind, name, incarnation: 2 ** 32 - 1, from: 'b' }], from);
    assert.is(viewOf('me')?.state, 'alive');
    assert.is(viewOf('a')?.state, 'alive');
    assert.equal(drops.splice(0), ['unfit', 'unfit', 'unfit', 'unfit']);
    const said = { ...aliveOf('a', 2), incarnation: 2 ** 32 - 1 };
    for (const state of ['dead', 'suspect', 'left', 'alive'] as const)
      member.merge({ ...said, state });
    member.receive([said, { ...said, name: 'me', ...endpointOf(1) }], from);
    assert.equal(
      drops.splice(0),
      Array.from({ length: 6 }, () => 'unfit'),
    );
    assert.is(viewOf('a')?.incarnation, 1);
    // Nor does it confirm what somebody suspects.
    member.receive([{ kind: 'suspect', name: 'a', incarnation: 1, from: 'b' }], from);
    member.receive([{ kind: 'suspect', name: 'a', incarnation: 2 ** 32 - 1, from: 'c' }], from);
    assert.equal(drops.splice(0), ['unfit']);
    member.receive([{ ...aliveOf('a', 2), incarnation: 2 }], from);
    assert.is(viewOf('a')?.state, 'alive');
    // The one before can still be answered.
    member.receive([{ kind: 'dead', name: 'me', incarnation: 2 ** 32 - 2, from: 'b' }], from);
    assert.is(viewOf('me')?.incarnation, 2 ** 32 - 1);
  });
});
