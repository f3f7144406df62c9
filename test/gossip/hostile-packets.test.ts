import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { local } from '../../gossip/core/profile.js';
import { Memberlist } from '../../gossip/memberlist.js';
import type { MemberlistOptions } from '../../gossip/memberlist-options.js';
import { endpointText } from '../../gossip/net/address.js';
import { Keyring } from '../../gossip/wire/keyring.js';
import { labelHeader } from '../../gossip/wire/label.js';
import { encodeMessage } from '../../gossip/wire/messages.js';
import type { Message } from '../../gossip/wire/messages.js';
import { sealPacket } from '../../gossip/wire/packet.js';
import { assert, rejects, suite } from '../suite.js';

const profile = { ...local, gossipIntervalMs: 20, pushPullIntervalMs: 0, tcpTimeoutMs: 3000 };
const none = new Uint8Array();
const plain = { label: none, keyring: undefined, verifyIncoming: true, compress: false };
const patient = { timeoutMs: 30_000 };

/** Says that all before it was read: packets on loopback come in order. */
const MARK = Buffer.from('that was all');

/** One member, and a stranger who sends it packets. */
class Attacked implements AsyncDisposable {
  readonly member: Memberlist;
  readonly #udp = createSocket('udp4').bind(0, '127.0.0.1');
  readonly #mark: Uint8Array;
  readonly #reads: { marked: () => void };

  private constructor(member: Memberlist, mark: Uint8Array, reads: { marked: () => void }) {
    this.member = member;
    this.#mark = mark;
    this.#reads = reads;
  }

  static async start(options: Partial<MemberlistOptions> = {}): Promise<Attacked> {
    const reads = { marked: (): void => undefined };
    const delegate = {
      ...options.delegate,
      onUserMessage: (bytes: Uint8Array): void => {
        if (MARK.equals(bytes)) reads.marked();
        else options.delegate?.onUserMessage?.(bytes);
      },
    };
    const set = { name: 'me', port: 0, profile, ...options, delegate };
    const { keyring, label = '' } = options;
    const wire = { ...plain, keyring, label: Buffer.from(label) };
    const mark = sealPacket([encodeMessage({ kind: 'user', payload: MARK })], wire);
    return new Attacked(await Memberlist.create(set), mark, reads);
  }

  dropped(why: string): number {
    return this.member.counts.dropped.get(why) ?? 0;
  }

  /** Resolves when it was read. */
  async send(bytes: Uint8Array): Promise<void> {
    const { port } = this.member.localMember();
    const read = new Promise<void>((resolve) => {
      this.#reads.marked = resolve;
    });
    for (const packet of [bytes, this.#mark]) this.#udp.send(packet, port, '127.0.0.1');
    await read;
  }

  say(...messages: readonly Message[]): Promise<void> {
    return this.send(sealPacket(messages.map(encodeMessage), plain));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close();
    await this.member.stop();
  }
}

/** Stops them all. */
class Started implements AsyncDisposable {
  readonly members: Memberlist[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
  }
}

const alive = (name: string, incarnation = 1): Message => ({
  ...{
    kind: 'alive',
    name,
    incarnation,
    address: Uint8Array.of(127, 0, 0, 1),
    port: 9,
    meta: none,
  },
  versions: Uint8Array.of(1, 5, 2, 0, 0, 0),
});

suite('packets of strangers', (test) => {
  test('what is not in the clothes of this cluster is refused and counted by what is wrong with it', async () => {
    const key = randomBytes(32);
    const keyring = new Keyring([key]);
    const stranger = new Keyring([randomBytes(32)]);
    await using attacked = await Attacked.start({ keyring, label: 'edge' });
    const label = Buffer.from('edge');
    const inner = encodeMessage(alive('ghost'));
    await attacked.send(Buffer.concat([labelHeader(label), stranger.seal(inner, label)]));
    assert.is(attacked.dropped('undecryptable'), 1);
    await attacked.send(Buffer.concat([labelHeader(label), inner]));
    assert.is(attacked.dropped('undecryptable'), 2);
    await attacked.send(keyring.seal(inner, label));
    const other = Buffer.from('other');
    await attacked.send(Buffer.concat([labelHeader(other), keyring.seal(inner, other)]));
    assert.is(attacked.dropped('forbidden'), 2);
    await attacked.send(
      Buffer.concat([labelHeader(label), keyring.seal(Uint8Array.of(99), label)]),
    );
    assert.is(attacked.dropped('malformed'), 1);
    await attacked.send(
      Buffer.concat([labelHeader(label), keyring.seal(inner.subarray(0, 9), label)]),
    );
    assert.is(attacked.dropped('truncated'), 1);
    assert.is(attacked.member.members().length, 1);
  });

  test('packets that are said again change nothing: their incarnation is over, nobody waits for their number', async () => {
    const keyring = new Keyring([randomBytes(16)]);
    await using attacked = await Attacked.start({ keyring });
    const seal = (message: Message): Uint8Array => keyring.seal(encodeMessage(message), none);
    const recorded = [
      alive('other', 1),
      { kind: 'suspect', incarnation: 1, name: 'other', from: 'x' },
      { kind: 'dead', incarnation: 1, name: 'other', from: 'other' },
    ] as const;
    await attacked.send(seal(recorded[0]));
    await attacked.send(seal(alive('other', 2)));
    const heard = attacked.member.members();
    for (const message of recorded) await attacked.send(seal(message));
    assert.is(attacked.dropped('stale'), 3);
    assert.equal(attacked.member.members(), heard);
    for (let sequence = 0; sequence < 50; sequence++)
      await attacked.send(seal({ kind: 'ack', sequence, payload: none }));
    await attacked.send(seal({ kind: 'nack', sequence: 1 }));
    assert.is(attacked.dropped('unexpected_answer'), 51);
  });

  test('lies about this member are refuted and counted, those about others that make no sense are dropped', async () => {
    await using attacked = await Attacked.start({ maxMembers: 3 });
    await attacked.say({ kind: 'dead', incarnation: 4, name: 'me', from: 'me' });
    await attacked.say({ kind: 'suspect', incarnation: 5, name: 'me', from: 'x' });
    assert.is(attacked.member.counts.refuted, 2);
    assert.is(attacked.member.localMember().incarnation, 6);
    assert.is(attacked.member.localMember().state, 'alive');
    const source = { sourceAddress: none, sourcePort: 0, sourceName: '' };
    await attacked.say({ kind: 'ping', sequence: 1, name: 'somebody else', ...source });
    await attacked.say({ kind: 'suspect', incarnation: 5, name: 'nobody', from: 'x' });
    await attacked.say(alive('me', 3), alive('a'), alive('b'), alive('c'), alive('d'));
    for (const [why, times] of [
      ['other_name', 1],
      ['unknown_member', 1],
      ['conflict', 1],
      ['over_limit', 2],
    ] as const)
      assert.is(attacked.dropped(why), times, why);
    assert.is(attacked.member.allMembers().length, 3);
  });

  test('a program on top that fails is told of and ends nothing', async () => {
    const failed: string[] = [];
    const failing = (what: string) => (): never => {
      failed.push(what);
      throw new Error('the program on top fails');
    };
    const all = ['onUserMessage', 'ackPayload', 'localState', 'mergeState', 'onAnswer'];
    const delegate = Object.fromEntries(all.map((what) => [what, failing(what)]));
    await using attacked = await Attacked.start({ delegate });
    await attacked.say({ kind: 'user', payload: randomBytes(5) });
    assert.equal(failed, ['onUserMessage']);
    const source = { sourceAddress: none, sourcePort: 0, sourceName: '' };
    await attacked.say({ kind: 'ping', sequence: 1, name: 'me', ...source });
    assert.equal(failed, ['onUserMessage', 'ackPayload']);
    const localState = (): Uint8Array => Uint8Array.of(1);
    const friend = { name: 'friend', port: 0, profile, delegate: { localState } };
    await using other = await Memberlist.create(friend);
    assert.is(await attacked.member.join([endpointText(other.localMember())]), 1);
    for (const what of ['localState', 'mergeState']) assert.ok(failed.includes(what), what);
    assert.is(attacked.dropped('failed'), failed.length);
    assert.is(attacked.member.members().length, 2);
  });

  test(
    'one address can not take all connections, and another version of the delegate is refused',
    async () => {
      await using attacked = await Attacked.start();
      const { port } = attacked.member.localMember();
      const sockets: Socket[] = Array.from({ length: 80 }, () => connect(port, '127.0.0.1'));
      for (const socket of sockets) socket.on('error', () => undefined);
      await new Promise((resolve) => {
        for (const socket of sockets) socket.once('close', resolve);
      });
      const elsewhere = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
      const ping = { sourceAddress: none, sourcePort: 0, sourceName: '' };
      elsewhere.write(encodeMessage({ kind: 'ping', sequence: 7, name: 'me', ...ping }));
      const [answer] = (await once(elsewhere, 'data')) as [Buffer];
      assert.is(answer[0], 2);
      assert.ok(attacked.dropped('too_many') > 0);
      for (const socket of [...sockets, elsewhere]) socket.destroy();
      const versions = { delegateVersions: [2, 5, 5] as const };
      await using serf = await Memberlist.create({ name: 'serf', port: 0, profile, ...versions });
      await rejects(attacked.member.join([endpointText(serf.localMember())]), Error);
      assert.is(attacked.dropped('refused'), 1);
      assert.is(attacked.member.members().length, 1);
    },
    patient,
  );

  test(
    'who leaves tells all of a small cluster, though its rumour is spent on the dead',
    async () => {
      await using started = new Started();
      const left: string[] = [];
      const names = Array.from({ length: 8 }, (_, at) => `n${String(at)}`);
      let told = (): void => undefined;
      const all = new Promise<void>((resolve) => {
        told = resolve;
      });
      // Nobody passes it on again and none is retried: only what is said directly comes.
      const quiet = { ...profile, retransmitMultiplier: 0, pushPullIntervalMs: 300 };
      const { members } = started;
      for (const name of names) {
        const onChange: MemberlistOptions['onChange'] = ({ kind, member }) => {
          if (kind === 'leave' && member.name === 'n0') left.push(name);
          if (left.length === names.length) told();
        };
        const one = await Memberlist.create({ name, port: 0, profile: quiet, onChange });
        if (members[0]) await one.join(members.map((other) => endpointText(other.localMember())));
        members.push(one);
      }
      await members[0]!.leave();
      await members[0]!.stop();
      await all;
      assert.equal(left.sort(), names);
    },
    patient,
  );
});
