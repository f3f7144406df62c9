import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import type { LinkFaults } from '../../../launcher/chaos/link-faults.js';
import { linkFaultsOf } from '../../../launcher/chaos/link-faults.js';
import { PrivateLinkFaults } from '../../../launcher/chaos/private-link-faults.js';
import { measureLink } from '../../../launcher/network/rate-probe.js';
import type { RunRecord } from '../../../launcher/run-file.js';
import type { RunningDataCenter } from '../../../launcher/running-data-center.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { Shared } from '../../end-to-end/live-data-center.js';
import { Mailbox } from '../network/mailbox.js';
import { NetworkProcess, noLinks } from '../network/network-process.js';

/** Real links with a mailbox on each; `faults` and `others` are as in two processes. */
class Links implements AsyncDisposable {
  readonly folder: string;
  readonly network: NetworkProcess;
  readonly boxes: readonly Mailbox[];

  private constructor(folder: string, network: NetworkProcess, boxes: readonly Mailbox[]) {
    this.folder = folder;
    this.network = network;
    this.boxes = boxes;
  }

  static async open(): Promise<Links> {
    const folder = await mkdtemp(path.join(tmpdir(), 'fractory-links-'));
    const network = await NetworkProcess.start();
    const names = ['a', 'b', 'c'];
    const boxes = await Promise.all(names.map((name) => Mailbox.open(network, name)));
    // Neighbours know each other from here on, so nothing waits for an answer to who has an address.
    for (const from of boxes)
      for (const to of boxes.filter((box) => box !== from)) {
        await from.send(to, 'hello');
        assert.is(await to.next(), 'hello');
      }
    return new Links(folder, network, boxes);
  }

  /** Faults as a process of their own would have them. */
  faults(): LinkFaults {
    const { pid, network } = this.network;
    return new PrivateLinkFaults(this.folder, { launcher: { pid } } as RunRecord, network);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.boxes.map((box) => box[Symbol.asyncDispose]()));
    await this.network[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true });
  }
}

const skip = noLinks();
const shared = new Shared(() => Links.open());

async function opened(): Promise<{ faults: LinkFaults; a: Mailbox; b: Mailbox; c: Mailbox }> {
  const links = await shared.get();
  const [a, b, c] = links.boxes;
  if (!a || !b || !c) throw new Error('three links were made');
  const faults = links.faults();
  await faults.heal();
  return { faults, a, b, c };
}

/** Sends, looks that the switch drops it, and that what is sent after the heal is the next to arrive. */
async function lost(from: Mailbox, to: Mailbox, heal?: () => Promise<unknown>): Promise<void> {
  const { network } = await shared.get();
  const before = await network.dropped();
  await from.send(to, 'lost');
  while ((await network.dropped()) === before);
  if (!heal) return;
  await heal();
  await arrives(from, to);
}

async function arrives(from: Mailbox, to: Mailbox): Promise<void> {
  await from.send(to, 'through');
  assert.is(await to.next(), 'through');
}

suite('faults on links', (test) => {
  test(
    'a cut stops what is sent in both ways, and the heal lets it through',
    async () => {
      const { faults, a, b, c } = await opened();
      const cut = await faults.partition({ members: ['a'] });
      assert.equal(await faults.list(), [cut]);
      await arrives(b, c);
      await lost(b, a);
      await lost(a, b, async () => {
        assert.equal(await faults.heal(['a']), [cut]);
      });
      await arrives(b, a);
      assert.equal(await faults.list(), []);
    },
    { skip },
  );

  test(
    'a cut from one member leaves the others alone; a cut in one way leaves the other way',
    async () => {
      const { faults, a, b, c } = await opened();
      await faults.partition({ members: ['a'], from: ['b'], oneWay: true });
      await arrives(a, c);
      await arrives(b, a);
      await lost(a, b, () => faults.heal());
    },
    { skip },
  );

  test(
    'a cut from zookeeper is none from the nodes',
    async () => {
      const { faults, a, b } = await opened();
      await faults.partition({ members: ['a'], from: ['zookeeper'] });
      await arrives(a, b);
      await faults.partition({ members: ['a'], from: ['nodes'] });
      await lost(a, b, () => faults.heal());
    },
    { skip },
  );

  test(
    'a loss takes its share',
    async () => {
      const { faults, a, b } = await opened();
      await faults.slow('a', { loss: 0.5 });
      await a.send(b, ...Array.from({ length: 200 }, () => 'perhaps'));
      await faults.heal();
      await a.send(b, 'after');
      let arrived = 0;
      while ((await b.next()) !== 'after') arrived++;
      // Eight standard deviations.
      assert.ok(arrived > 43 && arrived < 157, `${String(arrived)} of 200 arrived`);
    },
    { skip },
  );

  test(
    'a rate is what a connection gets, in both ways',
    async ({ signal }) => {
      const { faults } = await opened();
      const { network } = await shared.get();
      await faults.slow('a', { bitsPerSecond: 20e6 });
      const both = [
        await measureLink(network, ['a', 'b'], 20e6),
        await measureLink(network, ['b', 'a'], 20e6),
      ];
      for (const { bitsPerSecond } of both)
        assert.ok(bitsPerSecond > 2e6 && bitsPerSecond < 25e6, `${String(bitsPerSecond)} bit/s`);
      await faults.heal(['a']);
      while ((await measureLink(network, ['a', 'b'], 20e6)).bitsPerSecond < 30e6)
        signal.throwIfAborted();
    },
    { skip },
  );

  test(
    'a delay is added to what a member sends, or refused in words where the kernel has none',
    async () => {
      const { faults } = await opened();
      const { network } = await shared.get();
      const { delay } = await faults.abilities();
      if (delay === undefined) {
        await faults.slow('a', { delayMs: 20 });
        const { roundTripUs } = await measureLink(network, ['a', 'b'], 1e6);
        assert.ok(roundTripUs >= 20_000 && roundTripUs < 40_000, `${String(roundTripUs)} us`);
      } else {
        const before = await faults.slow('a', { bitsPerSecond: 5e6 });
        const wrong = { reason: 'DELAY_NOT_POSSIBLE' };
        await rejects(faults.slow('a', { delayMs: 20 }), FractoryError, wrong);
        assert.equal(await faults.list(), [before]);
      }
      await faults.heal();
    },
    { skip },
  );

  test(
    'processes that change faults at the same time end with what all of them wanted',
    async () => {
      const { a, b, c } = await opened();
      const links = await shared.get();
      const [first, second, third] = [links.faults(), links.faults(), links.faults()];
      const cut = await first.partition({ members: ['a'], from: ['b'] });
      await Promise.all([
        first.heal([cut.id]),
        second.partition({ members: ['b'], from: ['c'] }),
        third.partition({ members: ['c'], from: ['a'] }),
      ]);
      assert.is((await second.list()).length, 2);
      await arrives(a, b);
      await lost(c, a, () => first.heal(['a']));
      await lost(b, c, () => third.heal());
    },
    { skip },
  );

  test(
    'what can not be is refused, and changes nothing',
    async () => {
      const { faults } = await opened();
      for (const attempt of [
        faults.partition({ members: ['d'] }),
        faults.partition({ members: [] }),
        faults.partition({ members: ['a'], from: ['a'] }),
        faults.partition({ members: ['a'], from: ['everybody'] }),
        faults.slow('a', {}),
        faults.slow('a', { loss: 1.5 }),
        faults.slow('a', { bitsPerSecond: 1 }),
        faults.heal(['d']),
      ])
        await rejects(attempt, FractoryError, { code: status.INVALID_ARGUMENT });
      assert.equal(await faults.list(), []);
    },
    { skip },
  );

  test('the links are gone with their process', () => shared.close(), { skip });

  test('a data center on loopback has no links to cut, and the error says how it gets some', async () => {
    const running = { record: { launcher: {} } } as unknown as RunningDataCenter;
    const error = await rejects(linkFaultsOf(running), FractoryError, { reason: 'NO_NAMESPACES' });
    assert.match(error.message, './datacenter up --namespaces');
  });
});
