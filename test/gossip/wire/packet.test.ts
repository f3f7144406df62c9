import { randomBytes } from 'node:crypto';

import { FractoryError, messageOf } from '../../../runtime/errors.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { crc32 } from '../../../gossip/wire/crc32.js';
import { Keyring, MOST_KEYS } from '../../../gossip/wire/keyring.js';
import { pack } from '../../../gossip/wire/lzw-encoder.js';
import { encodeMessage } from '../../../gossip/wire/messages.js';
import { openPacket, sealPacket } from '../../../gossip/wire/packet.js';
import type { WireOptions } from '../../../gossip/wire/packet.js';
import { RawWriter } from '../../../gossip/wire/raw-writer.js';
import { WireError } from '../../../gossip/wire/wire-error.js';
import type { WireProblem } from '../../../gossip/wire/wire-error.js';
import { assert, rejects, suite } from '../../suite.js';

const plain: WireOptions = {
  label: new Uint8Array(),
  keyring: undefined,
  verifyIncoming: true,
  compress: false,
};
const label = Buffer.from('edge');
const suspect = (name: string): Uint8Array =>
  encodeMessage({ kind: 'suspect', incarnation: 1, name, from: 'n2' });
const namesIn = (packet: Uint8Array, options: WireOptions): string[] =>
  openPacket(packet, options).messages.map((message) => ('name' in message ? message.name : ''));
const fails =
  (problem: WireProblem) =>
  (error: unknown): boolean =>
    error instanceof WireError && error.problem === problem;

suite('packets of gossip', (test) => {
  test('messages come out in the order in which they went in, whatever is around them', () => {
    for (const bytes of [0, 16, 24, 32])
      for (const compress of [false, true])
        for (const around of [new Uint8Array(), label]) {
          const keyring = bytes === 0 ? undefined : new Keyring([randomBytes(bytes)]);
          const options = { label: around, keyring, verifyIncoming: true, compress };
          for (const count of [1, 2, 127]) {
            const names = Array.from({ length: count }, (_, at) => `member-${String(at)}`);
            const packet = sealPacket(names.map(suspect), options);
            assert.equal(namesIn(packet, options), names);
          }
        }
  });

  test('a message alone is sent as it is', () => {
    assert.equal(Buffer.from(sealPacket([suspect('n1')], plain)), Buffer.from(suspect('n1')));
  });

  test('what would end a Go peer is never sent: an empty part, no part, 128 parts', () => {
    const many = Array.from({ length: 128 }, () => suspect('n1'));
    for (const parts of [[], [new Uint8Array()], [suspect('n1'), new Uint8Array()], many])
      assert.throws(() => sealPacket(parts, plain), /a packet of/);
  });

  test('another label, no label and a label where there is none are refused', () => {
    const labelled = { ...plain, label };
    const packet = sealPacket([suspect('n1')], labelled);
    assert.throws(() => openPacket(packet, plain), fails('forbidden'));
    const other = { ...plain, label: Buffer.from('other') };
    assert.throws(() => openPacket(packet, other), fails('forbidden'));
    assert.throws(() => openPacket(suspect('n1'), labelled), fails('forbidden'));
  });

  test('the wrong key, the wrong label under encryption and a changed byte are refused', () => {
    const options = { ...plain, label, keyring: new Keyring([randomBytes(16)]) };
    const packet = sealPacket([suspect('n1')], options);
    const stranger = { ...options, keyring: new Keyring([randomBytes(16)]) };
    assert.throws(() => openPacket(packet, stranger), fails('undecryptable'));
    const relabelled = Buffer.from(packet);
    relabelled.write('edgy', 2);
    const edgy = { ...options, label: Buffer.from('edgy') };
    assert.throws(() => openPacket(relabelled, edgy), fails('undecryptable'));
    packet[packet.length - 20]! ^= 1;
    assert.throws(() => openPacket(packet, options), fails('undecryptable'));
  });

  test('a keyring has a bounded number of keys: each costs a try', async () => {
    const keys = Array.from({ length: MOST_KEYS }, () => randomBytes(16));
    const keyring = new Keyring(keys.slice(1));
    await keyring.add(randomBytes(16));
    const refused = await keyring.add(randomBytes(16)).catch(messageOf);
    assert.match(String(refused), /16 keys at most/);
    assert.is(keyring.keys.length, MOST_KEYS);
    assert.throws(() => new Keyring([...keys, randomBytes(16)]), /16 keys at most/);
  });

  test('plain packets pass a keyring only where incoming ones are not verified', () => {
    const keyring = new Keyring([randomBytes(16)]);
    const strict = { ...plain, keyring };
    assert.throws(() => openPacket(suspect('n1'), strict), fails('undecryptable'));
    assert.equal(namesIn(suspect('n1'), { ...strict, verifyIncoming: false }), ['n1']);
  });

  test('keys rotate: the new one is known everywhere, then used, then the old one goes', async () => {
    const [old, fresh] = [randomBytes(16), randomBytes(32)];
    const sender = { ...plain, keyring: new Keyring([old]) };
    const receiver = { ...plain, keyring: new Keyring([old]) };
    const early = await rejects(sender.keyring.use(fresh), FractoryError);
    assert.match(early.message, /add it everywhere first/);
    await sender.keyring.add(fresh);
    await receiver.keyring.add(fresh);
    await sender.keyring.use(fresh);
    assert.equal(namesIn(sealPacket([suspect('n1')], sender), receiver), ['n1']);
    const last = await rejects(sender.keyring.remove(fresh), FractoryError);
    assert.match(last.message, /is the one that encrypts/);
    await receiver.keyring.use(fresh);
    await receiver.keyring.remove(old);
    const late = sealPacket([suspect('n1')], { ...plain, keyring: new Keyring([old]) });
    assert.throws(() => openPacket(late, receiver), fails('undecryptable'));
    assert.throws(() => new Keyring([randomBytes(17)]), /has 17 bytes/);
  });

  test('a checksum is checked', () => {
    assert.is(crc32(Buffer.from('123456789')), 0xcb_f4_39_26);
    const message = suspect('n1');
    const summed = (sum: number): Uint8Array =>
      new RawWriter().byte(12).uint32(sum).bytes(message).finish();
    assert.equal(namesIn(summed(crc32(message)), plain), ['n1']);
    assert.throws(() => openPacket(summed(crc32(message) ^ 1), plain), fails('malformed'));
  });

  test('of a compound that is cut off the whole parts count, and the rest is told', () => {
    const whole = sealPacket(['a', 'b', 'c'].map(suspect), plain);
    const { messages, problems } = openPacket(whole.subarray(0, whole.length - 3), plain);
    assert.is(messages.length, 2);
    assert.is(problems.length, 1);
    assert.is(problems[0]?.problem, 'truncated');
  });

  test('packed parts of packed parts have one limit together', () => {
    const packed = (bytes: Uint8Array): Uint8Array =>
      new RawWriter().byte(9).map(2).raw('Algo').uint(0).raw('Buf').raw(pack(bytes)).finish();
    const zeros = packed(new Uint8Array(100_000));
    const parts = Array.from({ length: 100 }, () => zeros);
    const bomb = packed(sealPacket(parts, plain));
    assert.ok(bomb.length < 65_536);
    const { messages, problems } = openPacket(bomb, plain);
    assert.is(messages.length, 0);
    assert.ok(problems.every(({ problem }) => problem === 'too_large' || problem === 'malformed'));
    assert.ok(problems.some(({ problem }) => problem === 'too_large'));
  });

  test('of many bombs in one packet one is unpacked, and parts without end are told once', () => {
    const packed = (bytes: Uint8Array): Uint8Array =>
      new RawWriter().byte(9).map(2).raw('Algo').uint(0).raw('Buf').raw(pack(bytes)).finish();
    const bomb = packed(new Uint8Array(1024 ** 2));
    const bombs = openPacket(sealPacket([bomb, bomb, bomb], plain), plain);
    assert.equal(
      bombs.problems.map(({ message }) => message),
      [
        'more than 65536 bytes when unpacked',
        'more than 0 bytes when unpacked',
        'more than 0 bytes when unpacked',
      ],
    );
    const empty = Uint8Array.of(7, 255, ...new Uint8Array(510));
    const parts = Array.from({ length: 100 }, () => empty);
    const { problems } = openPacket(sealPacket(parts, plain), plain);
    assert.ok(problems.length <= 1025, String(problems.length));
    assert.is(problems.at(-1)?.problem, 'too_large');
  });

  test('names that are no UTF-8, port 0 and long lists of bytes are refused', () => {
    const said = {
      name: 'n',
      incarnation: 1,
      address: Uint8Array.of(1, 2, 3, 4),
      meta: new Uint8Array(),
    };
    const versions = Uint8Array.of(1, 5, 2, 0, 0, 0);
    const alive = encodeMessage({ kind: 'alive', ...said, port: 1, versions });
    const bad = Buffer.from(alive);
    bad[bad.indexOf('Node') + 5] = 0xff;
    assert.throws(() => openPacket(bad, plain), fails('malformed'));
    const portless = encodeMessage({ kind: 'alive', ...said, port: 0, versions });
    assert.throws(() => openPacket(portless, plain), fails('malformed'));
    const list = new RawWriter()
      .byte(2)
      .map(1)
      .raw('Payload')
      .bytes(Uint8Array.of(0xdc, 0x10, 0, ...new Uint8Array(4096)));
    assert.throws(() => openPacket(list.finish(), plain), fails('too_large'));
  });

  test('packets of any bytes are opened or a WireError', () => {
    const random = seededRandom(5);
    const seeds = [
      sealPacket(['a', 'b', 'c'].map(suspect), plain),
      sealPacket(['a', 'b', 'c'].map(suspect), { ...plain, compress: true }),
      sealPacket([suspect('n1')], { ...plain, label }),
    ];
    for (let round = 0; round < 5000; round++) {
      const seed = seeds[round % seeds.length]!;
      const packet = Uint8Array.from(seed.subarray(0, 1 + Math.floor(random() * seed.length)));
      for (let change = 0; change < 3; change++)
        packet[Math.floor(random() * packet.length)] = Math.floor(random() * 256);
      try {
        openPacket(packet, plain);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }
  });
});
