import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { PerformanceObserver } from 'node:perf_hooks';

import { lan } from '../gossip/core/profile.js';
import { Memberlist } from '../gossip/memberlist.js';
import { endpointText } from '../gossip/net/address.js';
import { encodeHeader, encodeMember } from '../gossip/wire/push-pull.js';
import { RawWriter } from '../gossip/wire/raw-writer.js';
import { encodeTags } from '../gossip/serf/tags.js';
import { Keyring } from '../gossip/wire/keyring.js';
import { sealStream } from '../gossip/wire/stream.js';

import { sleep } from '../runtime/deadline.js';

/**
 * How long an exchange of many members holds the event loop: of the one who joins and hears all for the first time, and of the one who answers. In one process, one after
 * the other, so that each figure is of one side: a stall is the time between two turns of a timer that wants one each millisecond. Beside it stands what this process computed
 * meanwhile: on a machine that others use too, only that tells the work from the waiting.
 */
const MEMBERS = Number(process.argv[2] ?? 10_000);
const ROUNDS = 5;

/** What this process computed so far, ms; of its threads, those that collect garbage compute too. */
function computedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

class Turns {
  #last = performance.now();
  #lastComputed = computedMs();
  readonly #stalls: number[] = [];
  readonly #computed: number[] = [];
  readonly #timer = setInterval(() => {
    this.#look();
  }, 1);

  #look(): void {
    const now = performance.now();
    const computed = computedMs();
    this.#stalls.push(now - this.#last);
    this.#computed.push(computed - this.#lastComputed);
    this.#last = now;
    this.#lastComputed = computed;
  }

  get longest(): string {
    return [this.#computed, this.#stalls]
      .map((all) =>
        [...all]
          .sort((a, b) => b - a)
          .slice(0, 3)
          .map((ms) => ms.toFixed(1))
          .join(', '),
      )
      .join(' | ');
  }

  stop(): void {
    this.#look();
    clearInterval(this.#timer);
  }
}

const collections: { ms: number }[] = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) collections.push({ ms: entry.duration });
}).observe({ entryTypes: ['gc'] });

/** All members, as one who knows them says it. */
function everybody(): Uint8Array {
  const writer = new RawWriter().byte(6);
  writer.bytes(encodeHeader({ members: MEMBERS, userStateBytes: 0, join: true }));
  for (let at = 0; at < MEMBERS; at++)
    writer.bytes(
      encodeMember({
        ...{ name: `edge-${randomBytes(5).toString('hex')}`, incarnation: 1 + (at % 7) },
        ...{ address: Uint8Array.of(127, 1, at >> 8, at & 255), port: 7946, state: 'alive' },
        meta: encodeTags({
          id: String(at),
          type: 'edge',
          zone: `z${String(at % 9)}`,
          role: 'cache',
        }),
        versions: Uint8Array.of(1, 5, 2, 0, 0, 0),
      }),
    );
  return writer.finish();
}

const profile = { ...lan, probeIntervalMs: 60_000, pushPullIntervalMs: 0, gossipIntervalMs: 200 };
console.log(
  '| round | key | side | computed in the longest turns, ms | longest turns, ms | whole exchange, ms | longest collection of garbage, ms |',
);
console.log('|---|---|---|---|---|---|---|');
for (let round = 1; round <= ROUNDS; round++)
  for (const keyring of [undefined, new Keyring([randomBytes(32)])]) {
    let changes = 0;
    const onChange = (): void => {
      changes++;
    };
    const create = (name: string) =>
      Memberlist.create({ name, port: 0, profile, onChange, ...(keyring && { keyring }) });
    await using known = await create('known');
    await using joiner = await create('joiner');
    const row = async (side: string, what: () => Promise<unknown>): Promise<void> => {
      collections.length = 0;
      const turns = new Turns();
      await sleep(20);
      const startedMs = performance.now();
      await what();
      const tookMs = performance.now() - startedMs;
      await sleep(100);
      turns.stop();
      const garbage = Math.max(0, ...collections.map(({ ms }) => ms));
      console.log(
        `| ${String(round)} | ${keyring ? 'yes' : 'no'} | ${side} | ${turns.longest} | ${tookMs.toFixed(0)} | ${garbage.toFixed(1)} |`,
      );
    };
    const wire = { label: new Uint8Array(), keyring, verifyIncoming: true, compress: true };
    const steps = sealStream(everybody(), wire, true);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    const frame = step.value;
    await row('hears all at once', async () => {
      const socket = connect(known.localMember().port, '127.0.0.1');
      socket.resume();
      socket.write(frame);
      await new Promise((resolve) => socket.once('close', resolve));
    });
    await row('both sides of a join', () => joiner.join([endpointText(known.localMember())]));
    await row('both sides again', () => joiner.join([endpointText(known.localMember())]));
    if (joiner.members().length !== MEMBERS + 2 || changes < 2 * MEMBERS)
      throw new Error('not all came over');
  }
