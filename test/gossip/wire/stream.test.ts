import { randomBytes } from 'node:crypto';

import { FractoryError } from '../../../runtime/errors.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { Budget } from '../../../gossip/wire/budget.js';
import { MAX_USER_BYTES } from '../../../gossip/wire/limits.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import { LzwDecoder } from '../../../gossip/wire/lzw-decoder.js';
import { pack } from '../../../gossip/wire/lzw-encoder.js';
import { encodeMessage } from '../../../gossip/wire/messages.js';
import type { WireOptions } from '../../../gossip/wire/packet.js';
import { encodeHeader, encodeMember } from '../../../gossip/wire/push-pull.js';
import type { RemoteMember } from '../../../gossip/wire/push-pull.js';
import { RawWriter } from '../../../gossip/wire/raw-writer.js';
import {
  encodeRefusal,
  encodeUserStream,
  sealStream,
  StreamDecoder,
} from '../../../gossip/wire/stream.js';
import type { StreamItem } from '../../../gossip/wire/stream.js';
import { WireError } from '../../../gossip/wire/wire-error.js';
import { assert, suite, throws } from '../../suite.js';

const plain: WireOptions = {
  label: new Uint8Array(),
  keyring: undefined,
  verifyIncoming: true,
  compress: false,
};

const member = (at: number): RemoteMember => ({
  ...{ name: `member-${String(at)}`, incarnation: at, state: 'alive', port: 7946 },
  address: Uint8Array.of(10, 0, at >> 8, at & 255),
  meta: Buffer.from('role=edge'),
  versions: Uint8Array.of(1, 5, 2, 0, 0, 0),
});

function exchange(members: number, userState: Uint8Array): Uint8Array {
  const writer = new RawWriter().byte(6);
  writer.bytes(encodeHeader({ members, userStateBytes: userState.length, join: true }));
  for (let at = 0; at < members; at++) writer.bytes(encodeMember(member(at)));
  return writer.bytes(userState).finish();
}

function sealed(bytes: Uint8Array, options: WireOptions, dialled = true): Uint8Array {
  const steps = sealStream(bytes, options, dialled);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** All items of what arrives in pieces of this size. */
function items(bytes: Uint8Array, options: WireOptions, pieceBytes: number): StreamItem[] {
  const decoder = new StreamDecoder(options);
  const found: StreamItem[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    decoder.push(bytes.subarray(at, at + pieceBytes));
    for (let item = decoder.next(); item !== 'wait'; item = decoder.next()) {
      if (item === 'end') return found;
      if (item !== 'more') found.push(item);
    }
  }
  return found;
}

suite('streams of gossip', (test) => {
  test('an exchange is understood however it is cut, plain, packed, encrypted and labelled', () => {
    const bytes = exchange(20, Buffer.from('state of the delegate'));
    const keyring = new Keyring([randomBytes(32)]);
    for (const options of [
      plain,
      { ...plain, compress: true },
      { ...plain, keyring },
      { ...plain, keyring, compress: true, label: Buffer.from('edge') },
    ])
      for (const pieceBytes of [1, 7, 100_000]) {
        const found = items(sealed(bytes, options), options, pieceBytes);
        const [header, ...rest] = found;
        const last = rest.pop();
        assert.equal(header, {
          kind: 'header',
          header: { members: 20, userStateBytes: 21, join: true },
        });
        const members = rest.map((item) => item.kind === 'member' && item.member);
        assert.is(members.length, 20);
        for (const [at, one] of members.entries()) {
          assert.ok(one);
          assert.is(Buffer.compare(encodeMember(one), encodeMember(member(at))), 0);
        }
        assert.ok(last?.kind === 'userState');
        assert.is(Buffer.from(last.bytes).toString(), 'state of the delegate');
      }
  });

  test('only who dialled says the label', () => {
    const options = { ...plain, label: Buffer.from('edge') };
    assert.is(sealed(exchange(1, new Uint8Array()), options, true)[0], 244);
    const answer = sealed(exchange(1, new Uint8Array()), options, false);
    assert.is(answer[0], 6);
    assert.is(items(answer, { ...options, label: new Uint8Array() }, 1000).length, 3);
  });

  test('a ping, an answer, a user message and a refusal are each one item', () => {
    const nowhere = { sourceAddress: new Uint8Array(), sourcePort: 0, sourceName: '' };
    const ping = encodeMessage({ kind: 'ping', sequence: 9, name: 'n1', ...nowhere });
    const ack = encodeMessage({ kind: 'ack', sequence: 9, payload: new Uint8Array() });
    for (const [bytes, kind] of [
      [ping, 'message'],
      [ack, 'message'],
      [encodeUserStream(Buffer.from('hello')), 'message'],
      [encodeRefusal('incompatible'), 'refused'],
    ] as const)
      assert.equal(
        items(bytes, plain, 2).map((item) => item.kind),
        [kind],
      );
  });

  test('a frame that claims more than may be is refused before it is there', () => {
    const claims = [
      Buffer.from('0affffffff', 'hex'),
      Buffer.concat([
        Uint8Array.of(6),
        encodeHeader({ members: 0, userStateBytes: 0, join: false }),
      ]),
    ];
    const keyring = new Keyring([randomBytes(16)]);
    assert.throws(
      () => items(claims[0]!, { ...plain, keyring }, 5),
      (error: unknown) => error instanceof WireError && error.problem === 'too_large',
    );
    const huge = claims[1]!.toString('hex').replace('a54e6f64657300', 'a54e6f646573ceffffffff');
    assert.throws(
      () => items(Buffer.from(huge, 'hex'), plain, 1000),
      (error: unknown) => error instanceof WireError,
    );
  });

  test('each call of next is a bounded piece of work', () => {
    const bytes = exchange(2000, new Uint8Array());
    const decoder = new StreamDecoder(plain);
    decoder.push(sealed(bytes, { ...plain, compress: true }));
    let calls = 0;
    let members = 0;
    for (let item = decoder.next(); item !== 'end'; item = decoder.next()) {
      assert.is.not(item, 'wait');
      if (typeof item === 'object' && item.kind === 'member') members++;
      calls++;
    }
    assert.is(members, 2000);
    assert.ok(calls > 2002);
  });

  test('streams of any bytes are understood or a WireError', () => {
    const random = seededRandom(9);
    const seeds = [plain, { ...plain, compress: true }].map((options) =>
      sealed(exchange(3, Buffer.from('x')), options),
    );
    for (let round = 0; round < 3000; round++) {
      const bytes = Uint8Array.from(seeds[round % 2]!);
      for (let change = 0; change < 3; change++)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      try {
        items(bytes, plain, 50);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }
  });

  test('no step of ten thousand members takes more than its share: 1 KiB packed, 128 KiB encrypted, 32 KiB unpacked, one member', () => {
    const bytes = exchange(10_000, new Uint8Array());
    const options = { ...plain, compress: true, keyring: new Keyring([randomBytes(32)]) };
    let steps = 1;
    const sealing = sealStream(bytes, options, true);
    let step = sealing.next();
    for (; step.done !== true; step = sealing.next()) steps++;
    assert.ok(steps >= bytes.length / 1024 + step.value.length / 131_072 - 1, String(steps));
    const budget = new Budget(Infinity);
    const decoder = new StreamDecoder(options, budget);
    decoder.push(step.value);
    // What it says that it was encrypted is there at once, and counted so.
    while (budget.usedBytes < 2 * step.value.length - 1000) decoder.next();
    let most = 0;
    let members = 0;
    let usedBytes = budget.usedBytes;
    for (let item = decoder.next(); item !== 'end'; item = decoder.next()) {
      if (typeof item === 'object' && item.kind === 'member') members++;
      most = Math.max(most, budget.usedBytes - usedBytes);
      ({ usedBytes } = budget);
    }
    assert.is(members, 10_000);
    assert.ok(most <= 32 * 1024, String(most));
  });

  test('a bomb is unpacked in steps that are bounded by what comes out', () => {
    const decoder = new LzwDecoder(pack(new Uint8Array(8 * 1024 ** 2)), 40 * 1024 ** 2);
    let most = 0;
    let all = 0;
    for (let isDone = false; !isDone;) {
      isDone = decoder.step(4096);
      most = Math.max(most, decoder.length);
      all += decoder.taken(4096).length;
    }
    assert.ok(most <= 4096 * 16 + 4096, String(most));
    assert.is(all, 8 * 1024 ** 2);
  });

  test('what is said without end is refused, of one connection and of all together', () => {
    const tooLarge = (error: unknown): boolean =>
      error instanceof WireError && error.problem === 'too_large';
    const waiting = new StreamDecoder(plain);
    const chunk = Buffer.concat([
      Uint8Array.of(6),
      encodeHeader({ members: 0, userStateBytes: 20 * 1024 ** 2, join: false }),
    ]);
    waiting.push(chunk);
    assert.throws(() => {
      for (let megabyte = 0; megabyte < 50; megabyte++) waiting.push(new Uint8Array(1024 ** 2));
    }, tooLarge);
    const budget = new Budget(100_000);
    const [one, other] = [new StreamDecoder(plain, budget), new StreamDecoder(plain, budget)];
    one.push(new Uint8Array(90_000));
    assert.throws(() => {
      other.push(new Uint8Array(20_000));
    }, tooLarge);
    one.release();
    one.release();
    other.push(new Uint8Array(20_000));
    other.release();
    assert.is(budget.usedBytes, 0);
  });

  test('a piece that is larger than its kind is never gathered', () => {
    const list = Buffer.from([0, 0x81, 0xa1, 0x78, 0xdd, 0, 16, 0, 0]);
    const member = Buffer.concat([
      Uint8Array.of(6),
      encodeHeader({ members: 1, userStateBytes: 0, join: false }),
      Buffer.from([0x81, 0xa1, 0x78, 0xdb, 0, 1, 0, 0]),
    ]);
    for (const bytes of [list, member])
      assert.throws(
        () => items(bytes, plain, 1),
        (error: unknown) => error instanceof WireError && error.problem === 'too_large',
      );
  });

  test('what does not shrink goes as it is, and no frame is made that nobody would take', () => {
    const random = seededRandom(7);
    const noise = Uint8Array.from({ length: 1_000_000 }, () => 256 * random());
    const message = encodeUserStream(noise);
    const options = { ...plain, compress: true };
    assert.is(sealed(message, options).length, message.length);
    assert.ok(sealed(encodeUserStream(new Uint8Array(1_000_000)), options).length < 10_000);
    const keyring = new Keyring([randomBytes(16)]);
    const large = encodeUserStream(new Uint8Array(MAX_USER_BYTES));
    throws(() => sealed(large, { ...plain, keyring }), FractoryError, { reason: 'LIMIT_EXCEEDED' });
    assert.is(items(sealed(large, plain), plain, 100_000).length, 1);
  });

  test('of an exchange with a member that is none the others count', () => {
    const writer = new RawWriter().byte(6);
    writer.bytes(encodeHeader({ members: 3, userStateBytes: 0, join: false }));
    writer.bytes(encodeMember(member(1)));
    writer.bytes(encodeMember({ ...member(2), versions: Uint8Array.of(1) }));
    writer.bytes(encodeMember(member(3)));
    const kinds = items(writer.finish(), plain, 10).map(({ kind }) => kind);
    assert.equal(kinds, ['header', 'member', 'problem', 'member', 'userState']);
  });

  test('what a frame lacks is not taken from behind it', () => {
    const whole = exchange(3, new Uint8Array());
    const keyring = new Keyring([randomBytes(16)]);
    const options = { ...plain, keyring };
    for (const compress of [false, true]) {
      const frame = sealed(whole.subarray(0, whole.length - 5), { ...options, compress });
      const forged = Buffer.concat([frame, whole.subarray(whole.length - 5)]);
      for (const pieceBytes of [100_000, frame.length])
        assert.throws(
          () => items(forged, options, pieceBytes),
          (error: unknown) => error instanceof WireError && error.problem === 'truncated',
        );
    }
  });
});
