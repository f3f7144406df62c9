import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';

import type { Endpoint } from '../../../gossip/core/member.js';
import { local } from '../../../gossip/core/profile.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import { labelHeader } from '../../../gossip/wire/label.js';
import { encodeMessage } from '../../../gossip/wire/messages.js';
import { openPacket, sealPacket } from '../../../gossip/wire/packet.js';
import type { WireOptions } from '../../../gossip/wire/packet.js';
import { StreamDecoder } from '../../../gossip/wire/stream.js';
import { sleep } from '../../../runtime/deadline.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { Findings } from '../findings.js';
import type { Finding } from '../findings.js';
import { AgentEyes } from './agent-eyes.js';
import { FuzzedCluster } from './fuzzed-cluster.js';
import type { ClusterVitals } from './fuzzed-cluster.js';
import { HostilePackets } from './hostile-packet.js';
import type { HostilePacket } from './hostile-packet.js';
import { HostileRequests } from './hostile-requests.js';
import { HostileSerf } from './hostile-serf.js';
import { HostileStreams } from './hostile-stream.js';
import { faultOfPacket } from './peer-eyes.js';
import { faultOfSerf } from './serf-eyes.js';

export interface GossipCampaignOptions {
  readonly seed: number;
  readonly forMs: number;
  /** Plain members, or an agent with a map and an HTTP face: then also with what agents of Serf say, and with broken requests. */
  readonly level: 'members' | 'agents';
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
  readonly level: 'members' | 'agents';
  readonly secured: boolean;
  readonly packets: Readonly<Record<string, number>>;
  readonly streams: Readonly<Record<string, number>>;
  readonly requests: Readonly<Record<string, number>>;
  /** What the members sent to those who attack, and told those who mean well. */
  readonly heard: {
    readonly packets: number;
    readonly exchanges: number;
    readonly states: number;
    readonly answers: number;
  };
  readonly before: ClusterVitals;
  readonly after: ClusterVitals;
  readonly findings: readonly Finding[];
}

const VICTIM = 'victim';
const HEALTHY = ['well-1', 'well-2'] as const;
const BURST_MS = 20;
const CALLERS = 4;
/** Few enough of them that news finds those who are real. */
const GHOSTS = { members: 300, agents: 8 };
const SERF_VERSIONS = [2, 5, 5] as const;
/** What the members may take while they are attacked; the limit on what connections hold is a part of it. */
const MAX_GROWTH_BYTES = 600 * 1024 ** 2;

/** Attacks one of three members, over UDP and TCP, and looks at what it does and says meanwhile. */
export async function attackGossip(options: GossipCampaignOptions): Promise<GossipReport> {
  const key = options.secured ? randomBytes(32).toString('base64') : '';
  const label = options.secured ? 'fuzzed' : '';
  const { level } = options;
  const setup = { level, key, label, victim: VICTIM, healthy: HEALTHY };
  await using cluster = await FuzzedCluster.start(setup);
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
  readonly #requests: Record<string, number> = {};
  readonly #heard = { packets: 0, exchanges: 0 };
  readonly #eyes: AgentEyes;
  readonly #recorded: Uint8Array[] = [];

  constructor(options: GossipCampaignOptions, cluster: FuzzedCluster, wire: WireOptions) {
    this.#options = options;
    this.#cluster = cluster;
    this.#wire = wire;
    this.#eyes = new AgentEyes(cluster.ports, wire, (fault) => {
      this.#findings.add(fault);
    });
  }

  async run(): Promise<GossipReport> {
    const { forMs, streams, secured, level } = this.#options;
    const { port: attacked, httpPort } = this.#cluster.ports;
    const udp = createSocket('udp4').bind(0, '127.0.0.1');
    await once(udp, 'listening');
    const home = { address: Uint8Array.of(127, 0, 0, 1), port: udp.address().port };
    const { hostile, serf, said } = this.#attackers(home);
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      this.#listen(socket, said);
    }).listen(home.port, '127.0.0.1');
    // Another process may have the port of TCP: then exchanges are not seen.
    server.on('error', () => undefined);
    udp.on('message', (bytes, from) => {
      this.#look(bytes, serf);
      if (serf)
        this.#acknowledge(bytes, serf, (ack) => {
          udp.send(ack, from.port, from.address);
        });
    });
    const before = await this.#cluster.vitals();
    this.#cluster.begin();
    const untilMs = performance.now() + forMs;
    const goesOn = (): boolean => performance.now() < untilMs && this.#cluster.isRunning;
    const asking = new HostileRequests(hostile);
    await Promise.all([
      this.#flood(udp, hostile, serf, goesOn),
      ...Array.from({ length: streams }, async () => {
        while (goesOn()) count(this.#streams, await said.attack(attacked, 1500));
      }),
      ...Array.from({ length: httpPort === undefined ? 0 : CALLERS }, async () => {
        while (goesOn()) this.#judgeAnswer(await asking.attack(httpPort ?? 0, 300));
      }),
      ...(level === 'agents' ? [this.#eyes.watch(goesOn)] : []),
    ]);
    await this.#lookAtLast();
    const after = await this.#cluster.vitals().catch(() => before);
    this.#judge(before, after);
    udp.close();
    server.close();
    const { states, answers } = this.#eyes;
    return {
      ...{ level, secured, packets: this.#packets, streams: this.#streams },
      ...{ requests: this.#requests, heard: { ...this.#heard, states, answers } },
      ...{ before, after, findings: this.#findings.all },
    };
  }

  #attackers(home: Endpoint): {
    hostile: HostilePackets;
    serf?: HostileSerf;
    said: HostileStreams;
  } {
    const { seed, seeds, level } = this.#options;
    const hostile = new HostilePackets({
      ...{ random: seededRandom(seed), victim: VICTIM, home, seeds, ghosts: GHOSTS[level] },
      ...(level === 'agents' ? { delegateVersions: SERF_VERSIONS } : {}),
    });
    if (level === 'members') return { hostile, said: new HostileStreams(hostile, this.#wire) };
    const self = { address: home.address, port: this.#cluster.ports.port };
    const serf = new HostileSerf(hostile, { victim: VICTIM, self, home });
    return { hostile, serf, said: new HostileStreams(hostile, this.#wire, serf) };
  }

  async #lookAtLast(): Promise<void> {
    // Some were told of things that they still answer.
    await sleep(500);
    if (this.#options.level === 'members' || !this.#cluster.isRunning) return;
    const faults = await this.#cluster.pulse().catch(() => []);
    for (const fault of faults) this.#findings.add(fault);
    await this.#eyes.lookAtLast();
  }

  #judgeAnswer({ kind, fault }: { kind: string; fault?: string }): void {
    count(this.#requests, kind);
    if (fault !== undefined) this.#findings.add(fault);
  }

  async #flood(
    udp: UdpSocket,
    hostile: HostilePackets,
    serf: HostileSerf | undefined,
    goesOn: () => boolean,
  ): Promise<void> {
    const perBurst = Math.ceil((this.#options.packetsPerSecond * BURST_MS) / 1000);
    while (goesOn()) {
      for (let packet = 0; packet < perBurst; packet++) {
        const { kind, bytes } =
          serf && hostile.below(2) === 0 ? packetOf(serf.next()) : hostile.next();
        count(this.#packets, kind);
        const sent = this.#dressed(bytes, hostile);
        udp.send(sent.subarray(0, 65_000), this.#cluster.ports.port, '127.0.0.1', () => undefined);
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

  /** As a made-up member that lives, and says of itself where it is. */
  #acknowledge(packet: Uint8Array, serf: HostileSerf, send: (ack: Uint8Array) => void): void {
    try {
      for (const message of openPacket(packet, this.#wire).messages) {
        if (message.kind === 'user') serf.learn(message.payload);
        if (message.kind !== 'ping') continue;
        const { sequence } = message;
        const ack = encodeMessage({ kind: 'ack', sequence, payload: serf.coordinate() });
        send(sealPacket([ack], this.#wire));
      }
    } catch (error) {
      this.#findings.add(`the members sent what is not to be read: ${String(error)}`);
    }
  }

  #look(packet: Uint8Array, serf: HostileSerf | undefined): void {
    this.#heard.packets++;
    if (this.#recorded.length < 500) this.#recorded.push(Uint8Array.from(packet));
    const ofUser = serf ? faultOfSerf : undefined;
    const fault = faultOfPacket(packet, this.#wire, local.packetBytes, ofUser);
    if (fault !== undefined) this.#findings.add(`the members sent ${fault}`);
  }

  /** An exchange that they begin with a member that we made up, and how that answers. */
  #listen(socket: Socket, said: HostileStreams): void {
    const decoder = new StreamDecoder(this.#wire);
    socket.on('data', (chunk) => {
      try {
        decoder.push(chunk);
        for (let item = decoder.next(); item !== 'wait' && item !== 'end'; item = decoder.next()) {
          if (item === 'more') continue;
          if (item.kind === 'header') {
            this.#heard.exchanges++;
            socket.write(said.answer());
          }
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

/** A user message in a packet. */
function packetOf({ kind, bytes }: HostilePacket): HostilePacket {
  return { kind, bytes: encodeMessage({ kind: 'user', payload: bytes }) };
}

function count(counts: Record<string, number>, kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1;
}
