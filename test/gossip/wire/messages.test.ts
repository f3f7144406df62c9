import { decodeMessage, encodeMessage } from '../../../gossip/wire/messages.js';
import type { Message } from '../../../gossip/wire/messages.js';
import {
  encodeHeader,
  encodeMember,
  readHeader,
  readMember,
} from '../../../gossip/wire/push-pull.js';
import { RawReader } from '../../../gossip/wire/raw-reader.js';
import { WireError } from '../../../gossip/wire/wire-error.js';
import { assert, suite } from '../../suite.js';
import { encodedBy, vectorFiles } from './vectors.js';

const home = Uint8Array.of(192, 168, 200, 129);
const versions = Uint8Array.of(1, 5, 2, 2, 5, 5);
const nowhere = { sourceAddress: new Uint8Array(), sourcePort: 0, sourceName: '' };

/** By the name of the vector, what it says. */
const messages: Readonly<Record<string, Message>> = {
  'ping-min': { kind: 'ping', sequence: 1, name: 'n1', ...nowhere },
  'ping-full': {
    ...{ kind: 'ping', sequence: 70_000, name: 'n1' },
    ...{ sourceAddress: home, sourcePort: 7946, sourceName: 'me' },
  },
  indirectPing: {
    ...{ kind: 'indirectPing', sequence: 300, target: home, port: 7946, name: 'n1', nack: true },
    ...nowhere,
  },
  'ack-emptypayload': { kind: 'ack', sequence: 200, payload: new Uint8Array() },
  nack: { kind: 'nack', sequence: 0xff_ff_ff_ff },
  suspect: { kind: 'suspect', incarnation: 128, name: 'n1', from: 'n2' },
  dead: { kind: 'dead', incarnation: 2, name: 'n1', from: 'n1' },
};

/** As a type of ours that both may be compared by. */
const plain = (value: object): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, field: unknown) =>
      field instanceof Uint8Array ? [...field] : field,
    ),
  );

suite('messages of memberlist', (test) => {
  const skip = vectorFiles.length === 0 && 'the vectors are not here';

  test(
    'every message is encoded to the bytes of Go, and decoded from them',
    () => {
      for (const file of vectorFiles) {
        const encoded = encodedBy(file);
        for (const [name, message] of Object.entries(messages)) {
          const bytes = encoded.get(name);
          assert.ok(bytes, `${file} has no ${name}`);
          assert.is(
            Buffer.from(encodeMessage(message)).toString('hex'),
            bytes.toString('hex'),
            name,
          );
          assert.equal(plain(decodeMessage(bytes)), plain(message), name);
        }
        const noPayload = decodeMessage(encoded.get('ack-nilpayload') ?? new Uint8Array());
        assert.equal(plain(noPayload), plain(messages['ack-emptypayload'] ?? {}));
      }
    },
    { skip },
  );

  test(
    'an alive message of Go says name, address, port, no meta and six versions',
    () => {
      for (const file of vectorFiles) {
        const bytes = encodedBy(file).get('alive');
        assert.ok(bytes);
        const message = decodeMessage(bytes);
        assert.ok(message.kind === 'alive');
        assert.is(message.name, 'a-node-name-longer-than-31-characters-x');
        assert.equal([...message.address], [...home]);
        assert.equal([...message.versions], [...versions]);
        assert.is(message.port, 7946);
        assert.is(message.meta.length, 0);
      }
    },
    { skip },
  );

  test(
    'both ways to write a count are understood, and members of an exchange are those of Go',
    () => {
      for (const file of vectorFiles) {
        const encoded = encodedBy(file);
        const header = readHeader(new RawReader(encoded.get('pp-header') ?? new Uint8Array(), 1));
        assert.equal(header, { members: 200, userStateBytes: 0, join: true });
        const bytes = encoded.get('pp-node') ?? new Uint8Array();
        // The first byte stands for the place of a type, which members don't have.
        const member = readMember(new RawReader(bytes, 1));
        assert.is(member.state, 'left');
        assert.is(
          Buffer.from(encodeMember(member)).toString('hex'),
          bytes.toString('hex').slice(2),
        );
      }
      const header = { members: 3, userStateBytes: 7, join: false };
      assert.equal(readHeader(new RawReader(encodeHeader(header))), header);
    },
    { skip },
  );

  test('text is read from every form that peers write, and unknown keys are passed over', () => {
    const inputs = [
      '82a55365714e6f01a44e6f6465d9026e31',
      '82a55365714e6f01a44e6f6465c4026e31',
      '82a55365714e6fd30000000000000001a44e6f6465a26e31',
      '83a44e6f6465a26e31a55365714e6f01a5457874726182a16101a16293c0c3ca00000000',
    ];
    for (const hex of inputs) {
      const message = decodeMessage(Buffer.from(`00${hex}`, 'hex'));
      assert.equal(plain(message), plain(messages['ping-min'] ?? {}), hex);
    }
  });

  test('a member whose versions are not six bytes is neither sent nor taken', () => {
    const alive = {
      ...({ kind: 'alive', incarnation: 1, name: 'n1', address: home, port: 1 } as const),
      ...{ meta: new Uint8Array(), versions: versions.subarray(0, 5) },
    } as const;
    assert.throws(() => encodeMessage(alive), /5 bytes of versions/);
    const cut = Buffer.from(encodeMessage({ ...alive, versions })).toString('hex');
    const five = cut.replace('a356736ea6010502020505', 'a356736ea50105020205');
    assert.not.equal(five, cut);
    assert.throws(() => decodeMessage(Buffer.from(five, 'hex')), /5 bytes of versions, expected 6/);
  });

  test('every cut and every changed byte of a message is understood or a WireError', () => {
    for (const message of Object.values(messages)) {
      const whole = encodeMessage(message);
      for (let at = 0; at < whole.length; at++) {
        assert.throws(() => decodeMessage(whole.subarray(0, at)), isWireError);
        for (const bit of [1, 0x80, 0xff]) {
          const changed = Uint8Array.from(whole);
          changed[at] = (changed[at] ?? 0) ^ bit;
          try {
            decodeMessage(changed);
          } catch (error) {
            assert.ok(isWireError(error), String(error));
          }
        }
      }
    }
  });
});

const isWireError = (error: unknown): boolean => error instanceof WireError;
