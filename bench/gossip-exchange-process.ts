import { once } from 'node:events';
import { connect } from 'node:net';

import { lan } from '../gossip/core/profile.js';
import type { Endpoint } from '../gossip/core/member.js';
import { Memberlist } from '../gossip/memberlist.js';
import type { MemberlistOptions } from '../gossip/memberlist-options.js';
import { endpointText } from '../gossip/net/address.js';
import { SerfMember } from '../gossip/serf/serf-member.js';
import { Keyring } from '../gossip/wire/keyring.js';
import { sleep } from '../runtime/deadline.js';
import { EventLoopTurns } from './event-loop-turns.js';
import type { Turn } from './event-loop-turns.js';

/** What one process is to do, so many times over: the first time nothing of it was ever done there. */
export interface ExchangeTask {
  /** All members, as one who knows them says it who dials. */
  readonly frame: Uint8Array;
  readonly members: number;
  readonly key: Uint8Array | undefined;
  /** With what agents of Serf say besides. */
  readonly serf: boolean;
  readonly rounds: number;
}

export const sides = ['hears all at once', 'both sides of a join', 'both sides again'] as const;

export interface ExchangeRow {
  readonly side: (typeof sides)[number];
  /** From 1. */
  readonly round: number;
  readonly tookMs: number;
  readonly turns: readonly Turn[];
  /** Garbage, all together. */
  readonly collectedMs: number;
}

/** Rumours go out four times as often as in a LAN, so that they are part of what is seen. */
const profile = { ...lan, probeIntervalMs: 60_000, pushPullIntervalMs: 0, gossipIntervalMs: 50 };
const BEFORE_MS = 20;
const AFTER_MS = 80;

/** A member of either kind. */
interface Peer extends AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly known: number;
  join(address: string): Promise<unknown>;
}

async function peer(name: string, { key, serf }: ExchangeTask): Promise<Peer> {
  const options: MemberlistOptions = {
    ...{ name, port: 0, profile, onChange: () => undefined },
    ...(key && { keyring: new Keyring([key]) }),
  };
  const member = serf ? await SerfMember.create(options) : undefined;
  const list = member?.list ?? (await Memberlist.create(options));
  return {
    endpoint: list.localMember(),
    get known() {
      return list.members().length;
    },
    join: (address) => (member ?? list).join([address]),
    [Symbol.asyncDispose]: () => list.stop(),
  };
}

async function round(task: ExchangeTask, index: number): Promise<ExchangeRow[]> {
  const rows: ExchangeRow[] = [];
  const turns = new EventLoopTurns();
  await using known = await peer('known', task);
  await using joiner = await peer('joiner', task);
  const row = async (side: ExchangeRow['side'], what: () => Promise<unknown>): Promise<void> => {
    turns.start();
    await sleep(BEFORE_MS);
    const startedMs = performance.now();
    await what();
    const tookMs = performance.now() - startedMs;
    await sleep(AFTER_MS);
    rows.push({ side, round: index, tookMs, turns: turns.stop(), collectedMs: turns.collectedMs });
  };
  const address = endpointText(known.endpoint);
  await row('hears all at once', async () => {
    const socket = connect(known.endpoint.port, '127.0.0.1');
    socket.resume();
    socket.write(task.frame);
    await once(socket, 'close');
  });
  await row('both sides of a join', () => joiner.join(address));
  await row('both sides again', () => joiner.join(address));
  if (joiner.known !== task.members + 2) throw new Error('not all came over');
  return rows;
}

process.once('message', (task: ExchangeTask) => {
  void (async () => {
    for (let index = 1; index <= task.rounds; index++) process.send?.(await round(task, index));
    process.disconnect();
  })();
});
