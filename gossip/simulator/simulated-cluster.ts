import { sizeOf } from '../core/encoded.js';
import { GossipMember } from '../core/gossip-member.js';
import type { Transport } from '../core/gossip-member.js';
import type { Endpoint, MemberView } from '../core/member.js';
import type { MemberChange } from '../core/membership.js';
import type { Profile } from '../core/profile.js';
import type { Message } from '../wire/messages.js';
import { COMPOUND_BYTES, COMPOUND_PART_BYTES } from '../wire/packet.js';
import { ProcessClock } from './process-clock.js';
import { Roster, SharedTable } from './shared-table.js';
import { VirtualTime } from './virtual-time.js';

/** A cluster to simulate. */
export interface ClusterOptions {
  readonly members: number;
  readonly profile: Profile;
  /** 0 to 1, not 1, the same again for the same seed. */
  readonly random: () => number;
  /** Share of packets that are lost, 0 to 1. TCP loses none. */
  readonly loss: number;
  /** Shortest and longest way of a packet, ms. */
  readonly latencyMs: readonly [number, number];
  /** Whether a member that was stopped notices it. */
  readonly watchesStalls: boolean;
  readonly onChange?: (observer: number, change: MemberChange) => void;
}

/** What was sent so far by all members, by what was sent. Bytes on the wire, headers included. */
export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

interface Node {
  readonly member: GossipMember;
  readonly table: SharedTable;
  readonly clock: ProcessClock;
  crashed: boolean;
  /** Members of one side hear each other only. */
  side: number;
  /** Packets that wait in the socket of a stopped process. */
  waiting: number;
}

const UDP_HEADER_BYTES = 28;
/** A socket's buffer holds about so many small packets; what comes then is lost. */
const SOCKET_PACKETS = 512;
const VERSIONS = Uint8Array.of(1, 5, 2, 0, 0, 0);
const PORT = 7946;
const NOTHING = new Uint8Array();

/** A cluster in virtual time: the members of the product on a network that loses and delays as asked. */
export class SimulatedCluster {
  readonly time = new VirtualTime();
  readonly traffic = new Map<string, { packets: number; bytes: number }>();
  readonly #options: ClusterOptions;
  readonly #roster: Roster;
  readonly #nodes: Node[];

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#roster = new Roster(Array.from({ length: options.members }, (_, place) => viewOf(place)));
    this.#nodes = this.#roster.views.map((view, place) => this.#nodeOf(view, place));
  }

  member(place: number): GossipMember {
    return this.#node(place).member;
  }

  isCrashed(place: number): boolean {
    return this.#node(place).crashed;
  }

  /** Everybody knows everybody: a cluster that has been there for long. */
  start(): void {
    for (const { member } of this.#nodes) member.startKnown(1);
  }

  crash(place: number): void {
    const node = this.#node(place);
    node.crashed = true;
    node.member.stop();
  }

  pause(place: number, forMs: number): void {
    this.#node(place).clock.pause(forMs);
  }

  /** Members of different sides don't hear each other. All are on side 0 at first. */
  moveTo(place: number, side: number): void {
    this.#node(place).side = side;
  }

  /** One member exchanges all that it knows with another, as by a join. */
  exchange(place: number, withPlace: number): void {
    void this.#exchange(place, this.#viewAt(withPlace));
  }

  runFor(ms: number): void {
    this.time.runUntil(this.time.monotonicMs() + ms);
  }

  #node(place: number): Node {
    const node = this.#nodes[place];
    if (!node) throw new Error(`there is no member ${String(place)}`);
    return node;
  }

  #nodeOf(view: MemberView, place: number): Node {
    const { profile, random, watchesStalls, onChange } = this.#options;
    const clock = new ProcessClock(this.time, (lateMs) => {
      if (watchesStalls) member.stalled(lateMs);
    });
    const table = new SharedTable(this.#roster);
    const member: GossipMember = new GossipMember({
      ...{ name: view.name, endpoint: view, meta: NOTHING, versions: VERSIONS, profile, random },
      ...{ clock, table },
      transport: this.#transportOf(place),
      onChange: (change) => onChange?.(place, change),
    });
    return { member, table, clock, crashed: false, side: 0, waiting: 0 };
  }

  #transportOf(from: number): Transport {
    return {
      overheadBytes: 0,
      send: (to, messages) => {
        this.#send(from, to, messages);
      },
      pingByTcp: (member, timeoutMs, answered) => {
        this.#pingByTcp(from, member, timeoutMs, answered);
      },
      exchange: (withWhom) => this.#exchange(from, withWhom),
    };
  }

  #send(from: number, to: Endpoint, messages: readonly Message[]): void {
    this.#count(messages);
    const { random, loss } = this.#options;
    if (random() < loss) return;
    const target = placeOf(to);
    const sender = this.#node(from);
    this.time.schedule(this.#latencyMs(), () => {
      const node = this.#node(target);
      if (node.crashed || node.side !== sender.side) return;
      this.#arrive(node, messages, this.#viewAt(from));
    });
  }

  /** A stopped process reads its packets when it goes on, after the timers that fell due. */
  #arrive(node: Node, messages: readonly Message[], from: Endpoint): void {
    const { clock, member } = node;
    if (!clock.isPaused) {
      member.receive(messages, from);
      return;
    }
    if (node.waiting >= SOCKET_PACKETS) return;
    node.waiting++;
    this.time.schedule(clock.pausedUntilMs - this.time.monotonicMs() + AFTER_TIMERS_MS, () => {
      node.waiting--;
      this.#arrive(node, messages, from);
    });
  }

  #pingByTcp(from: number, to: Endpoint, timeoutMs: number, answered: () => void): void {
    const target = this.#node(placeOf(to));
    const roundTripMs = 2 * this.#latencyMs();
    const reaches =
      !target.crashed && !target.clock.isPaused && target.side === this.#node(from).side;
    if (!reaches || roundTripMs > timeoutMs) return;
    this.#tally('tcp ping', 1, TCP_PING_BYTES);
    this.time.schedule(roundTripMs, answered);
  }

  /** What both sides hold that differs from what everybody holds, as if they had sent all. */
  #exchange(from: number, to: Endpoint): Promise<void> {
    const one = this.#node(from);
    const other = this.#node(placeOf(to));
    if (other.crashed || other.clock.isPaused || other.side !== one.side) return Promise.resolve();
    const theirs = [...other.table.differing()];
    for (const view of [...one.table.differing()]) other.member.merge(view);
    for (const view of theirs) one.member.merge(view);
    return Promise.resolve();
  }

  #latencyMs(): number {
    const [least, most] = this.#options.latencyMs;
    return least + (most - least) * this.#options.random();
  }

  #viewAt(place: number): Endpoint {
    const view = this.#roster.views[place];
    if (!view) throw new Error(`there is no member ${String(place)}`);
    return view;
  }

  #count(messages: readonly Message[]): void {
    let bytes = UDP_HEADER_BYTES;
    for (const message of messages) bytes += sizeOf(message);
    if (messages.length > 1) bytes += COMPOUND_BYTES + COMPOUND_PART_BYTES * messages.length;
    const kind = messages[0]?.kind ?? 'user';
    this.#tally(PROBES.has(kind) ? 'probes' : 'rumours', 1, bytes);
  }

  #tally(what: string, packets: number, bytes: number): void {
    const so = this.traffic.get(what) ?? { packets: 0, bytes: 0 };
    so.packets += packets;
    so.bytes += bytes;
    this.traffic.set(what, so);
  }
}

const PROBES: ReadonlySet<string> = new Set(['ping', 'ack', 'indirectPing', 'nack']);
/** Handshake, ping, answer, end. */
const TCP_PING_BYTES = 8 * 40 + 60;
const AFTER_TIMERS_MS = 0.001;

function viewOf(place: number): MemberView {
  return {
    name: `member-${String(place)}`,
    // 10.0.0.0/8, by place.
    address: Uint8Array.of(10, place >>> 16, (place >>> 8) & 255, place & 255),
    ...{ port: PORT, meta: NOTHING, versions: VERSIONS, incarnation: 1, state: 'alive', since: 0 },
  };
}

function placeOf({ address }: Endpoint): number {
  const [, high = 0, middle = 0, low = 0] = address;
  return (high << 16) | (middle << 8) | low;
}
