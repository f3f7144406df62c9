import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';

import type { MemberChange } from '../../gossip/core/membership.js';
import { local } from '../../gossip/core/profile.js';
import { Memberlist } from '../../gossip/memberlist.js';
import type { MemberlistOptions } from '../../gossip/memberlist-options.js';
import { endpointText } from '../../gossip/net/address.js';
import { Keyring } from '../../gossip/wire/keyring.js';
import { FractoryError } from '../../runtime/errors.js';
import { assert, rejects, suite } from '../suite.js';

/** Finds failures in a second or two. What a rumour missed, by chance as rumours do, the next exchange brings. */
const quick = {
  ...local,
  ...{ probeIntervalMs: 100, probeTimeoutMs: 50, gossipIntervalMs: 20, suspicionMultiplier: 4 },
  ...{ retransmitMultiplier: 4, pushPullIntervalMs: 500, tcpTimeoutMs: 3000 },
};
/** A machine may stand still for seconds in all. */
const patient = { timeoutMs: 60_000 };

/** Members on loopback, and what each of them hears. */
class Lists implements AsyncDisposable {
  readonly all: Memberlist[] = [];
  readonly #heard: { by: string; change: MemberChange }[] = [];
  #wake: () => void = () => undefined;

  async create(options: Partial<MemberlistOptions> & { name: string }): Promise<Memberlist> {
    const list = await Memberlist.create({
      ...{ port: 0, profile: quick },
      ...options,
      onChange: (change) => {
        this.#heard.push({ by: options.name, change });
        this.#wake();
      },
    });
    this.all.push(list);
    return list;
  }

  /** Members of one cluster, all joined with the first. */
  async cluster(names: readonly string[], options: Partial<MemberlistOptions> = {}) {
    const lists: Memberlist[] = [];
    for (const name of names) {
      const list = await this.create({ ...options, name });
      if (lists[0]) await list.join([addressOf(lists[0])]);
      lists.push(list);
    }
    await this.until(() => lists.every((list) => list.members().length === names.length));
    return lists;
  }

  heardBy(name: string): string[] {
    return this.#heard
      .filter(({ by }) => by === name)
      .map(({ change: { kind, member } }) => `${kind} ${member.name}`);
  }

  /** Looked at after every change. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((list) => list.stop()));
  }
}

const addressOf = (list: Memberlist): string => endpointText(list.localMember());
const namesOf = (list: Memberlist): string[] =>
  list
    .members()
    .map(({ name }) => name)
    .sort();

suite('a member list on sockets', (test) => {
  test(
    'members find each other, plain, encrypted, labelled and packed',
    async () => {
      const keyring = new Keyring([randomBytes(32)]);
      for (const options of [{}, { keyring, label: 'edge' }, { compress: false }]) {
        await using lists = new Lists();
        const [one, two, three] = await lists.cluster(['one', 'two', 'three'], options);
        for (const list of [one!, two!, three!])
          assert.equal(namesOf(list), ['one', 'three', 'two']);
      }
    },
    patient,
  );

  test(
    'who is gone without a word is found out, who says goodbye has left',
    async () => {
      await using lists = new Lists();
      const [one, two, three, four] = await lists.cluster(['one', 'two', 'three', 'four']);
      await two!.stop();
      await three!.leave();
      await three!.stop();
      await lists.until(() => [one!, four!].every((list) => namesOf(list).join() === 'four,one'));
      for (const name of ['one', 'four']) {
        const heard = lists.heardBy(name);
        assert.ok(heard.includes('fail two'), heard.join());
        assert.ok(heard.includes('leave three'), heard.join());
        assert.not.ok(heard.includes('fail three'), heard.join());
      }
    },
    patient,
  );

  test(
    'who comes back under its name is there again, though all held it dead',
    async () => {
      await using lists = new Lists();
      const [one, two] = await lists.cluster(['one', 'two', 'three']);
      const { port } = two!.localMember();
      await two!.stop();
      await lists.until(() => lists.heardBy('one').includes('fail two'));
      const again = await lists.create({ name: 'two', port });
      await again.join([addressOf(one!)]);
      await lists.until(() => namesOf(one!).join() === 'one,three,two');
    },
    patient,
  );

  test('nobody waits for what can be passed on no more', async () => {
    await using lists = new Lists();
    const [one, two] = await lists.cluster(['one', 'two']);
    const told = one!.broadcast(Buffer.from('x'));
    await one!.stop();
    await Promise.all([told, one!.broadcast(Buffer.from('y')), one!.updateMeta(Buffer.from('z'))]);
    await two!.stop();
    const alone = await lists.create({ name: 'alone' });
    await Promise.all([alone.broadcast(Buffer.from('x')), alone.updateMeta(Buffer.from('z'))]);
  });

  test('a join that is under way when the member is stopped ends, and an address that is none leaves nothing open', async () => {
    await using lists = new Lists();
    const one = await lists.create({ name: 'one' });
    const two = await lists.create({ name: 'two' });
    const joining = two.join([addressOf(one)]).then(
      () => 'joined',
      (error: unknown) => (error as FractoryError).reason,
    );
    await two.stop();
    assert.is(await joining, 'NOT_JOINED');
    const { port } = two.localMember();
    await rejects(lists.create({ name: 'two', port, advertise: 'nowhere' }), Error);
    await lists.create({ name: 'two', port });
  });

  test('any address is none that others reach it at', async () => {
    await using lists = new Lists();
    const nowhere = [
      { bind: '0.0.0.0' },
      { bind: '::' },
      { bind: '0:0::0' },
      { advertise: '0.0.0.0:7946' },
    ];
    for (const options of nowhere) {
      const created = lists.create({ name: 'one', ...options });
      await rejects(created, FractoryError, { reason: 'INVALID_ARGUMENT' });
    }
    const one = await lists.create({ name: 'one', bind: '0.0.0.0', advertise: '127.0.0.1' });
    assert.match(addressOf(one), /^127\.0\.0\.1:[1-9]/);
  });

  test('a message for one that is larger than a member may take is refused where it is said', async () => {
    await using lists = new Lists();
    const one = await lists.create({ name: 'one' });
    const sent = one.sendReliable(one.localMember(), new Uint8Array(20 * 1024 ** 2 + 1));
    await rejects(sent, FractoryError, { reason: 'INVALID_ARGUMENT' });
  });

  test(
    'tags reach everybody, and a broadcast too',
    async () => {
      await using lists = new Lists();
      const heard: string[] = [];
      let told = (): void => undefined;
      const all = new Promise<void>((resolve) => {
        told = resolve;
      });
      const delegate = {
        onUserMessage: (bytes: Uint8Array): void => {
          heard.push(Buffer.from(bytes).toString());
          if (new Set(heard).size === 2 && heard.length >= 3) told();
        },
      };
      const [one, two, three] = await lists.cluster(['one', 'two', 'three'], { delegate });
      await one!.updateMeta(Buffer.from('role=storage'));
      await lists.until(() =>
        [two!, three!].every((list) =>
          list.members().some(({ meta }) => Buffer.from(meta).toString() === 'role=storage'),
        ),
      );
      await one!.broadcast(Buffer.from('to everybody'));
      await one!.sendReliable(two!.localMember(), Buffer.from('to one'));
      await all;
    },
    patient,
  );

  test(
    'another key, another label and another delegate are refused and counted',
    async () => {
      await using lists = new Lists();
      const one = await lists.create({ name: 'one', keyring: new Keyring([randomBytes(16)]) });
      const stranger = await lists.create({ name: 'x', keyring: new Keyring([randomBytes(16)]) });
      await rejects(stranger.join([addressOf(one)]), Error);
      assert.ok((one.counts.dropped.get('undecryptable') ?? 0) > 0);
      const labelled = await lists.create({ name: 'l', label: 'here' });
      const other = await lists.create({ name: 'o', label: 'there' });
      await rejects(other.join([addressOf(labelled)]), Error);
      assert.ok((labelled.counts.dropped.get('forbidden') ?? 0) > 0);
      const plain = await lists.create({ name: 'p' });
      const serf = await lists.create({ name: 's', delegateVersions: [2, 5, 5] });
      const error = await rejects(serf.join([addressOf(plain)]), Error);
      assert.match(error.message, /delegate protocol version/);
      for (const list of [one, labelled, plain]) assert.is(list.members().length, 1);
    },
    patient,
  );

  test(
    'nobody there, a bad address and a name in use are told',
    async () => {
      await using lists = new Lists();
      const one = await lists.create({ name: 'one' });
      await rejects(one.join(['127.0.0.1:1']), Error);
      await rejects(one.join(['nowhere']), Error);
      const { port } = one.localMember();
      await rejects(Memberlist.create({ name: 'two', port }), Error);
      const twin = await lists.create({ name: 'one' });
      await twin.join([addressOf(one)]);
      await lists.until(() => lists.heardBy('one').includes('conflict one'));
    },
    patient,
  );

  test(
    'bytes of strangers, and connections that say nothing, harm nobody',
    async () => {
      await using lists = new Lists();
      const [one, two] = await lists.cluster(['one', 'two']);
      const { port } = one!.localMember();
      const silent = connect(port, '127.0.0.1');
      const noisy = connect(port, '127.0.0.1');
      noisy.on('error', () => undefined);
      silent.on('error', () => undefined);
      const ended = Promise.all([once(silent, 'close'), once(noisy, 'close')]);
      noisy.write(randomBytes(1000));
      silent.resume();
      noisy.resume();
      for (let packet = 0; packet < 200; packet++)
        two!.sendBestEffort(one!.localMember(), randomBytes(50));
      await ended;
      assert.equal(namesOf(one!), ['one', 'two']);
    },
    patient,
  );
});
