import { sizeOf } from '../../../gossip/core/encoded.js';
import { encodeMessage } from '../../../gossip/wire/messages.js';
import type { Message } from '../../../gossip/wire/messages.js';
import { Rumours } from '../../../gossip/core/rumours.js';
import { Walk } from '../../../gossip/core/walk.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

suite('rumours', (test) => {
  test('each is passed on as often as asked, then it has finished', () => {
    const rumours = new Rumours<string>();
    let finished = 0;
    rumours.add({ message: 'x', bytes: 10, about: 'a', finished: () => finished++ });
    for (let time = 0; time < 3; time++) assert.equal(rumours.take(100, 2, 10, 3).messages, ['x']);
    assert.equal(rumours.take(100, 2, 10, 3).messages, []);
    assert.is(finished, 1);
  });

  test('a newer one about the same member takes the place of the older', () => {
    const rumours = new Rumours<string>();
    let finished = 0;
    rumours.add({ message: 'old', bytes: 10, about: 'a', finished: () => finished++ });
    rumours.add({ message: 'new', bytes: 10, about: 'a' });
    rumours.add({ message: 'other', bytes: 10, about: undefined });
    rumours.add({ message: 'another', bytes: 10, about: undefined });
    assert.is(finished, 1);
    assert.equal(rumours.take(100, 2, 10, 3).messages.toSorted(), ['another', 'new', 'other']);
  });

  test('least told go first, then the larger, then the newer, as far as there is room', () => {
    const rumours = new Rumours<string>();
    rumours.add({ message: 'small', bytes: 10, about: 'a' });
    rumours.add({ message: 'large', bytes: 50, about: 'b' });
    rumours.add({ message: 'small too', bytes: 10, about: 'c' });
    assert.equal(rumours.take(64, 2, 10, 9).messages, ['large', 'small too']);
    assert.equal(rumours.take(64, 2, 1, 9).messages, ['small']);
    assert.equal(rumours.take(1, 2, 10, 9).messages, []);
  });

  test('who is told that one has finished may say another at once', () => {
    const rumours = new Rumours<string>();
    const finished: string[] = [];
    const add = (message: string, then?: () => void): void => {
      rumours.add({
        ...{ message, bytes: 10, about: 'a' },
        finished: () => {
          finished.push(message);
          then?.();
        },
      });
    };
    add('one', () => {
      add('three');
    });
    add('two');
    assert.equal(finished, ['one', 'two']);
    assert.is(rumours.size, 1);
    assert.equal(rumours.take(100, 2, 10, 1).messages, ['three']);
    assert.equal(finished, ['one', 'two', 'three']);
    assert.is(rumours.size, 0);
  });

  test('the oldest leaves where there are too many, and what never fits is not taken', () => {
    const finished: string[] = [];
    const rumours = new Rumours<string>({ own: 2, all: 4, bytes: 50 });
    const add = (message: string, about?: string, bytes = 10): void => {
      rumours.add({ message, bytes, about, finished: () => finished.push(message) });
    };
    for (const message of ['one', 'two', 'three']) add(message);
    assert.equal(finished, ['one']);
    for (const about of ['a', 'b', 'c']) add(about, about);
    assert.equal(finished, ['one', 'two']);
    add('huge', 'd', 51);
    assert.equal(finished, ['one', 'two', 'huge']);
    assert.is(rumours.size, 4);
    assert.equal(rumours.take(100, 2, 10, 1).messages.toSorted(), ['a', 'b', 'c', 'three']);
    assert.is(rumours.size, 0);
  });
});

suite('a walk', (test) => {
  test('comes to every place once, in another order for another seed', () => {
    for (const size of [1, 2, 3, 4, 5, 63, 64, 65, 1000]) {
      const orders = [1, 2].map((seed) => {
        const walk = new Walk(size, seededRandom(seed));
        const order: number[] = [];
        for (let place = walk.next(); place !== undefined; place = walk.next()) order.push(place);
        assert.equal(
          [...order].sort((a, b) => a - b),
          Array.from({ length: size }, (_, place) => place),
        );
        return order.join();
      });
      if (size > 4) assert.is.not(orders[0], orders[1]);
    }
  });
});

suite('sizes of messages', (test) => {
  test('what is added up is what is encoded', () => {
    const addresses = [new Uint8Array(), Uint8Array.of(10, 0, 0, 1), new Uint8Array(16).fill(7)];
    const names = ['', 'n', 'x'.repeat(31), 'x'.repeat(32), 'ä'.repeat(40)];
    for (const sequence of [0, 127, 128, 255, 256, 65_535, 65_536, 0xff_ff_ff_ff])
      for (const name of names)
        for (const [at, sourceAddress] of addresses.entries()) {
          const source = { sourceAddress, sourcePort: at * 4000, sourceName: at === 0 ? '' : name };
          const target = Uint8Array.of(1, 2, 3, 4);
          const payload = Buffer.from(name);
          const messages: readonly Message[] = [
            { kind: 'ping', sequence, name, ...source },
            { kind: 'indirectPing', sequence, name, target, port: 7946, nack: true, ...source },
            { kind: 'ack', sequence, payload },
            { kind: 'nack', sequence },
            { kind: 'suspect', incarnation: sequence, name, from: 'n' },
            { kind: 'user', payload },
            {
              ...{ kind: 'alive', incarnation: sequence, name, address: sourceAddress, port: 7946 },
              ...{ meta: payload, versions: Uint8Array.of(1, 5, 2, 0, 0, 0) },
            },
          ];
          for (const message of messages)
            assert.is(sizeOf(message), encodeMessage(message).length, JSON.stringify(message));
        }
  });
});
