import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { systemClock } from '../../../runtime/clock.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { GossipMember } from '../../../gossip/core/gossip-member.js';
import type { Delegate } from '../../../gossip/core/gossip-member.js';
import { lan } from '../../../gossip/core/profile.js';
import { Exchanges } from '../../../gossip/net/exchanges.js';
import type { ExchangeParts } from '../../../gossip/net/exchanges.js';
import { MessageType } from '../../../gossip/wire/messages.js';
import { encodeHeader } from '../../../gossip/wire/push-pull.js';
import { encodeRefusal } from '../../../gossip/wire/stream.js';
import { assert, rejects, suite } from '../../suite.js';

const none = new Uint8Array();
const here = { address: Uint8Array.of(127, 0, 0, 1), port: 9 };
const nobody = { ...here, name: 'nobody' };

const member = (): GossipMember =>
  new GossipMember({
    ...{ name: 'me', endpoint: here, meta: none, profile: lan, clock: systemClock },
    ...{ versions: Uint8Array.of(1, 5, 2, 0, 0, 0), random: Math.random },
    transport: {
      overheadBytes: 0,
      send: () => undefined,
      pingByTcp: () => undefined,
      exchange: () => Promise.resolve(),
    },
  });

/** Exchanges of one member, whose other side is played by the test: `theirs` is its end of the connection. */
class Staged implements AsyncDisposable {
  readonly dropped: string[] = [];
  readonly failed: unknown[] = [];
  readonly exchanges: Exchanges;
  readonly #server = createServer();
  readonly #theirs: Socket[] = [];

  constructor(delegate: Delegate = {}, parts: Partial<ExchangeParts> = {}) {
    const wire = { label: none, keyring: undefined, verifyIncoming: true, compress: false };
    this.exchanges = new Exchanges(
      {
        ...{ member: member(), wire, delegate, timeoutMs: 5000 },
        dial: async () => (await this.pair()).ours,
        limit: () => undefined,
        dropped: (why) => {
          this.dropped.push(why);
        },
        failed: (error) => {
          this.failed.push(error);
        },
        exchanged: () => undefined,
        ...parts,
      },
      0,
    );
  }

  /** Plays the other side once it is dialled. */
  play(part: (theirs: Socket) => void): void {
    this.#play = part;
  }

  async pair(): Promise<{ ours: Socket; theirs: Socket }> {
    if (!this.#server.listening) {
      this.#server.listen(0, '127.0.0.1');
      await once(this.#server, 'listening');
    }
    const ours = connect((this.#server.address() as AddressInfo).port, '127.0.0.1');
    const [[theirs]] = (await Promise.all([
      once(this.#server, 'connection'),
      once(ours, 'connect'),
    ])) as [[Socket], unknown];
    this.#theirs.push(theirs, ours);
    for (const socket of [ours, theirs]) socket.on('error', () => undefined);
    this.#play(theirs);
    return { ours, theirs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#theirs) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #play: (theirs: Socket) => void = () => undefined;
}

const bug = new TypeError('a bug of ours');
const fail = (): never => {
  throw bug;
};
const notReached = unavailable('NOT_REACHED', 'nobody is there');
const state = (userState: Uint8Array): Buffer =>
  Buffer.concat([
    Uint8Array.of(MessageType.pushPull),
    encodeHeader({ members: 0, userStateBytes: userState.length, join: false }),
    userState,
  ]);

suite('exchanges', (test) => {
  test('a bug of ours counts as one, whoever dialled; what the network does does not', async () => {
    await using staged = new Staged({ localState: fail });
    staged.play((theirs) => theirs.write(state(none)));
    const { ours } = await staged.pair();
    await staged.exchanges.answer(ours);
    assert.equal(staged.failed, [bug]);
    await rejects(staged.exchanges.exchange(here, false), TypeError);
    assert.equal(staged.failed, [bug, bug]);
    assert.equal(staged.dropped, []);
    staged.play((theirs) => theirs.resetAndDestroy());
    await staged.exchanges.answer((await staged.pair()).ours);
    assert.equal(staged.dropped, ['unfinished']);
    assert.is(staged.failed.length, 2);
  });

  test('regular exchanges that come to nothing are counted; who joins hears that nobody is there', async () => {
    await using staged = new Staged();
    const { exchanges } = staged;
    staged.play((theirs) => theirs.write(encodeRefusal('not with you')));
    await rejects(exchanges.exchange(here, false), FractoryError, { reason: 'REFUSED' });
    assert.equal(staged.dropped, ['refused']);
    staged.play((theirs) => theirs.resetAndDestroy());
    await rejects(exchanges.exchange(here, false), FractoryError, { reason: 'BROKEN' });
    assert.equal(staged.dropped, ['refused', 'unfinished']);
    await using alone = new Staged({}, { dial: () => Promise.reject(notReached) });
    await rejects(alone.exchanges.exchange(here, true), FractoryError, { reason: 'NOT_REACHED' });
    assert.equal(alone.dropped, []);
    await rejects(alone.exchanges.exchange(here, false), FractoryError, { reason: 'NOT_REACHED' });
    assert.equal(alone.dropped, ['unfinished']);
  });

  test('a nonsense answer to a ping is counted, one that does not come is not', async () => {
    await using staged = new Staged();
    staged.play((theirs) => theirs.write(Uint8Array.of(99)));
    await rejects(staged.exchanges.ping(nobody, 1000), Error);
    assert.equal(staged.dropped, ['malformed']);
    staged.play((theirs) => theirs.resetAndDestroy());
    await rejects(staged.exchanges.ping(nobody, 1000), FractoryError);
    assert.equal(staged.dropped, ['malformed']);
  });

  test('what was said counts as held until the program on top has taken it', async () => {
    let heldBytes = 0;
    let taken = (): void => undefined;
    const taking = new Promise<void>((resolve) => {
      taken = resolve;
    });
    const delegate = {
      mergeState: async (): Promise<void> => {
        heldBytes = staged.exchanges.heldBytes;
        await taking;
      },
    };
    await using staged = new Staged(delegate);
    const { ours, theirs } = await staged.pair();
    const answered = staged.exchanges.answer(ours);
    theirs.resume();
    theirs.write(state(new Uint8Array(100_000)));
    taken();
    await answered;
    assert.ok(heldBytes >= 100_000, String(heldBytes));
    assert.is(staged.exchanges.heldBytes, 0);
  });

  test('a message that breaks on its way is UNAVAILABLE', async () => {
    await using staged = new Staged();
    const { ours } = await staged.pair();
    ours.destroy();
    await using broken = new Staged({}, { dial: () => Promise.resolve(ours) });
    await rejects(broken.exchanges.send(here, none), FractoryError, { reason: 'BROKEN' });
  });
});
