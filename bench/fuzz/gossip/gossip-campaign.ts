import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';

import { local } from '../../../gossip/core/profile.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import { labelHeader } from '../../../gossip/wire/label.js';
import type { WireOptions } from '../../../gossip/wire/packet.js';
import { StreamDecoder } from '../../../gossip/wire/stream.js';
import { sleep } from '../../../runtime/deadline.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { Findings } from '../findings.js';
import type { Finding } from '../findings.js';
import { FuzzedCluster } from './fuzzed-cluster.js';
import type { ClusterVitals } from './fuzzed-cluster.js';
import { HostilePackets } from './hostile-packet.js';
import { HostileStreams } from './hostile-stream.js';
import { faultOfPacket } from './peer-eyes.js';

export interface GossipCampaignOptions {
  readonly seed: number;
  readonly forMs: number;
  /** Whether the cluster has a key and a label. Some of the attackers have them too. */
  readonly secured: boolean;
  readonly packetsPerSecond: number;
  /** Connections at once. */
  readonly streams: number;
  /** Event loop of the members, ms: the longest that is no finding. */
  readonly longestStallMs: number;
  /** Real packets, to be changed. */
  readonly seeds: readonly Uint8Array[];
}

export interface GossipReport {
  readonly secured: boolean;
  readonly packets: Readonly<Record<string, number>>;
  readonly streams: Readonly<Record<string, number>>;
  /** What the members sent to those who attack. */
  readonly heard: { readonly packets: number; readonly exchanges: number };
  readonly before: ClusterVitals;
  readonly after: ClusterVitals;
  readonly findings: readonly Finding[];
}

const VICTIM = 'victim';
const HEALTHY = ['well-1', 'well-2'] as const;
const BURST_MS = 20;
/** What the members may take while they are attacked; the limit on what connections hold is a part of it. */
const MAX_GROWTH_BYTES = 600 * 1024 ** 2;

/** Attacks one of three members, over UDP and TCP, and looks at what it does and says meanwhile. */
export async function attackGossip(options: GossipCampaignOptions): Promise<GossipReport> {
  const key = options.secured ? randomBytes(32).toString('base64') : '';
  const label = options.secured ? 'fuzzed' : '';
  await using cluster = await FuzzedCluster.start({ key, label, victim: VICTIM, healthy: HEALTHY });
  const wire: WireOptions = {
    label: Buffer.from(label),
    keyring: key === '' ? undefined : new Keyring([Buffer.from(key, 'base64')]),
    ...{ verifyIncoming: true, compress: true },
  };
  const campaign = new Attackers(options, cluster, wire);
  return await campaign.run();
}

class Attackers {
  readonly #options: GossipCampaignOptions;
  readonly #cluster: FuzzedCluster;
  readonly #wire: WireOptions;
  readonly #findings = new Findings();
  readonly #packets: Record<string, number> = {};
  readonly #streams: Record<string, number> = {};
  readonly #heard = { packets: 0, exchanges: 0 };
  readonly #recorded: Uint8Array[] = [];

  constructor(options: GossipCampaignOptions, cluster: FuzzedCluster, wire: WireOptions) {
    this.#options = options;
    this.#cluster = cluster;
    this.#wire = wire;
  }

  async run(): Promise<GossipReport> {
    const { seed, forMs, streams, seeds, secured } = this.#options;
    const random = seededRandom(seed);
    const udp = createSocket('udp4').bind(0, '127.0.0.1');
    await once(udp, 'listening');
    const { port } = udp.address();
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      this.#listen(socket);
    }).listen(port, '127.0.0.1');
    // Another process may have the port of TCP: then exchanges are not seen.
    server.on('error', () => undefined);
    udp.on('message', (bytes) => {
      this.#look(bytes);
    });
    const home = { address: Uint8Array.of(127, 0, 0, 1), port };
    const hostile = new HostilePackets({ random, victim: VICTIM, home, seeds });
    const said = new HostileStreams(hostile, this.#wire);
    const before = await this.#cluster.vitals();
    this.#cluster.begin();
    const untilMs = performance.now() + forMs;
    const goesOn = (): boolean => performance.now() < untilMs && this.#cluster.isRunning;
    await Promise.all([
      this.#flood(udp, hostile, goesOn),
      ...Array.from({ length: streams }, async () => {
        while (goesOn()) count(this.#streams, await said.attack(this.#cluster.port, 1500));
      }),
    ]);
    // Some were told of things that they still answer.
    await sleep(500);
    const after = await this.#cluster.vitals().catch(() => before);
    this.#judge(before, after);
    udp.close();
    server.close();
    return {
      ...{ secured, packets: this.#packets, streams: this.#streams, heard: this.#heard },
      ...{ before, after, findings: this.#findings.all },
    };
  }

  async #flood(udp: UdpSocket, hostile: HostilePackets, goesOn: () => boolean): Promise<void> {
    const perBurst = Math.ceil((this.#options.packetsPerSecond * BURST_MS) / 1000);
    while (goesOn()) {
      for (let packet = 0; packet < perBurst; packet++) {
        const { kind, bytes } = hostile.next();
        count(this.#packets, kind);
        const sent = this.#dressed(bytes, hostile);
        udp.send(sent.subarray(0, 65_000), this.#cluster.port, '127.0.0.1', () => undefined);
      }
      await sleep(BURST_MS);
    }
  }

  /** In what the cluster wears, in what it does not, or as it was heard before. */
  #dressed(bytes: Uint8Array, hostile: HostilePackets): Uint8Array {
    const { keyring, label } = this.#wire;
    const how = hostile.below(8);
    if (how === 0 && this.#recorded.length > 0) return hostile.pick(this.#recorded);
    if (!keyring || how === 1) return bytes;
    if (how === 2) return Buffer.concat([labelHeader(Buffer.from('other')), bytes]);
    const stranger = new Keyring([new Uint8Array(32)]);
    const sealed = (how === 3 ? stranger : keyring).seal(bytes, label);
    return Buffer.concat([labelHeader(label), how === 4 ? hostile.mutated(sealed) : sealed]);
  }

  #look(packet: Uint8Array): void {
    this.#heard.packets++;
    if (this.#recorded.length < 500) this.#recorded.push(Uint8Array.from(packet));
    const fault = faultOfPacket(packet, this.#wire, local.packetBytes);
    if (fault !== undefined) this.#findings.add(`the members sent ${fault}`);
  }

  /** An exchange that they begin with a member that we made up. */
  #listen(socket: Socket): void {
    const decoder = new StreamDecoder(this.#wire);
    socket.on('data', (chunk) => {
      try {
        decoder.push(chunk);
        for (let item = decoder.next(); item !== 'wait' && item !== 'end'; item = decoder.next()) {
          if (item === 'more') continue;
          if (item.kind === 'header') this.#heard.exchanges++;
          if (item.kind === 'problem')
            this.#findings.add(`the members exchanged ${item.problem.message}`);
        }
      } catch (error) {
        this.#findings.add(`the members said what is not to be read: ${String(error)}`);
      }
    });
  }

  #judge(before: ClusterVitals, after: ClusterVitals): void {
    const { longestStallMs } = this.#options;
    if (!this.#cluster.isRunning) this.#findings.add('the members ended');
    for (const error of [...after.errors, ...after.trouble]) this.#findings.add(error);
    if ((after.dropped['failed'] ?? 0) > 0) this.#findings.add('something could not be taken');
    if (after.longestStallMs > longestStallMs)
      this.#findings.add(`the event loop stood still for ${after.longestStallMs.toFixed(0)} ms`);
    const grown = after.residentBytes - before.residentBytes;
    if (grown > MAX_GROWTH_BYTES)
      this.#findings.add(`the members took ${(grown / 1024 ** 2).toFixed(0)} MiB more`);
  }
}

function count(counts: Record<string, number>, kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1;
}
