import { GossipMember } from '../core/gossip-member.js';
import type { Transport } from '../core/gossip-member.js';
import { isGone, OwnTable } from '../core/member.js';
import type { Endpoint, MemberTable, MemberView } from '../core/member.js';
import type { MemberChange } from '../core/membership.js';
import type { Profile } from '../core/profile.js';
import { Reconnection } from '../serf/reconnection.js';
import type { Message } from '../wire/messages.js';
import { ProcessClock } from './process-clock.js';
import { Roster, SharedTable } from './shared-table.js';
import { memberBytes, Traffic } from './traffic.js';
import { VirtualTime } from './virtual-time.js';

/** A cluster to simulate. */
export interface ClusterOptions {
  readonly members: number;
  readonly profile: Profile;
  /** 0 to 1, not 1, the same again for the same seed. */
  readonly random: () => number;
  /** Share of packets that are lost, 0 to 1. TCP loses none: it sends again. */
  readonly loss: number;
  /** Shortest and longest way of a packet, ms. */
  readonly latencyMs: readonly [number, number];
  /** Whether a member that was stopped notices it. */
  readonly watchesStalls: boolean;
  /** What every member carries, as Serf's tags. Default: nothing. */
  readonly meta?: Uint8Array;
  /** Whether members try those again that failed, as agents of Serf do. Default: no. */
  readonly reconnects?: boolean;
  readonly onChange?: (observer: number, change: MemberChange) => void;
}

interface Node {
  readonly place: number;
  readonly endpoint: Endpoint;
  readonly member: GossipMember;
  readonly clock: ProcessClock;
  crashed: boolean;
  /** Members of one side hear each other only. */
  side: number;
  /** Packets that wait in the socket of a stopped process. */
  waiting: number;
}

/** A socket's buffer holds about so many small packets; what comes then is lost. */
const SOCKET_PACKETS = 512;
const VERSIONS = Uint8Array.of(1, 5, 2, 0, 0, 0);
const PORT = 7946;
const NOTHING = new Uint8Array();
const AFTER_TIMERS_MS = 0.001;
/** Ways of packets until an exchange is done: handshake, and all both ways. */
const EXCHANGE_WAYS = 4;

/** A cluster in virtual time: the members of the product on a network that loses and delays as asked. */
export class SimulatedCluster {
  readonly time = new VirtualTime();
  readonly traffic: Traffic;
  readonly #options: ClusterOptions;
  readonly #roster: Roster;
  readonly #nodes: Node[];

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { members, meta = NOTHING, random } = options;
    this.#roster = new Roster(Array.from({ length: members }, (_, place) => viewOf(place, meta)));
    const { views } = this.#roster;
    this.traffic = new Traffic(memberBytes(shuffled(views, random)).packed);
    this.#nodes = views.map((view) => this.#nodeOf(view, new SharedTable(this.#roster)));
  }

  /** Those too that joined or crashed. */
  get size(): number {
    return this.#nodes.length;
  }

  member(place: number): GossipMember {
    return this.#node(place).member;
  }

  isCrashed(place: number): boolean {
    return this.#node(place).crashed;
  }

  sideOf(place: number): number {
    return this.#node(place).side;
  }

  /** Everybody knows everybody: a cluster that has been there for long. */
  start(): void {
    for (const { member } of this.#nodes) member.startKnown(1);
  }

  /** A new member that knows nobody joins by an exchange with another; returns its place. */
  join(seed: number): number {
    const place = this.#nodes.length;
    const { meta = NOTHING } = this.#options;
    const node = this.#nodeOf(viewOf(place, meta), new OwnTable());
    this.#nodes.push(node);
    node.member.start();
    this.exchange(place, seed);
    return place;
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
    this.#exchange(this.#node(place), this.#node(withPlace));
  }

  runFor(ms: number): void {
    this.time.runUntil(this.time.monotonicMs() + ms);
  }

  #node(place: number): Node {
    const node = this.#nodes[place];
    if (!node) throw new Error(`there is no member ${String(place)}`);
    return node;
  }

  #nodeOf(view: MemberView, table: MemberTable): Node {
    const { profile, random, watchesStalls, reconnects = false, onChange } = this.#options;
    const { name, meta, versions } = view;
    const place = placeOf(view);
    const clock = new ProcessClock(this.time, (lateMs) => {
      if (watchesStalls) member.stalled(lateMs);
    });
    const member: GossipMember = new GossipMember({
      ...{ name, endpoint: view, meta, versions, profile, random, clock, table },
      transport: this.#transportOf(place),
      onChange: (change) => {
        reconnection?.changed(change);
        onChange?.(place, change);
      },
    });
    const reconnection = reconnects ? this.#reconnectionOf(place, clock) : undefined;
    return { place, endpoint: view, member, clock, crashed: false, side: 0, waiting: 0 };
  }

  #reconnectionOf(place: number, clock: ProcessClock): Reconnection {
    const { profile, random } = this.#options;
    return new Reconnection({
      ...{ profile, random, clock },
      here: () => [...this.member(place).table].filter((view) => !isGone(view)).length,
      exchange: (withWhom, done) => {
        this.#exchange(this.#node(place), this.#node(placeOf(withWhom)), done);
      },
    });
  }

  #transportOf(from: number): Transport {
    return {
      overheadBytes: 0,
      send: (to, messages) => {
        this.#send(this.#node(from), to, messages);
      },
      pingByTcp: (member, timeoutMs, answered) => {
        this.#pingByTcp(this.#node(from), member, timeoutMs, answered);
      },
      exchange: (withWhom) => {
        this.#exchange(this.#node(from), this.#node(placeOf(withWhom)));
        return Promise.resolve();
      },
    };
  }

  #send(sender: Node, to: Endpoint, messages: readonly Message[]): void {
    this.traffic.packet(messages);
    const { random, loss } = this.#options;
    if (loss > 0 && random() < loss) return;
    this.time.after(this.#latencyMs(), () => {
      const node = this.#node(placeOf(to));
      if (node.crashed || node.side !== sender.side) return;
      if (!node.clock.isPaused) node.member.receive(messages, sender.endpoint);
      else this.#wait(node, messages, sender.endpoint);
    });
  }

  /** A stopped process reads its packets when it goes on, after the timers that fell due. */
  #wait(node: Node, messages: readonly Message[], from: Endpoint): void {
    if (node.waiting >= SOCKET_PACKETS) return;
    node.waiting++;
    this.#whenRunning(node, () => {
      node.waiting--;
      if (!node.crashed) node.member.receive(messages, from);
    });
  }

  #whenRunning(node: Node, callback: () => void): void {
    const leftMs = node.clock.pausedUntilMs - this.time.monotonicMs();
    if (leftMs <= 0) {
      callback();
      return;
    }
    this.time.after(leftMs + AFTER_TIMERS_MS, () => {
      this.#whenRunning(node, callback);
    });
  }

  /** A stopped process answers when it goes on; one that stops meanwhile hears it then. */
  #pingByTcp(asker: Node, to: Endpoint, timeoutMs: number, answered: () => void): void {
    const target = this.#node(placeOf(to));
    const untilMs = this.time.monotonicMs() + timeoutMs;
    this.traffic.tcpPing();
    this.time.after(2 * this.#latencyMs(), () => {
      this.#whenRunning(target, () => {
        if (target.crashed || target.side !== asker.side) return;
        this.time.after(2 * this.#latencyMs(), () => {
          if (this.time.monotonicMs() <= untilMs) this.#whenRunning(asker, answered);
        });
      });
    });
  }

  /** Both take all that the other holds, of which only what they don't both hold needs to be looked at. */
  #exchange(one: Node, other: Node, done?: () => void): void {
    this.time.after(EXCHANGE_WAYS * this.#latencyMs(), () => {
      const apart = other.side !== one.side;
      if (other.crashed || one.crashed || apart || other.clock.isPaused || one.clock.isPaused)
        return;
      const [mine, theirs] = [one.member.table, other.member.table];
      this.traffic.exchange(mine.size, theirs.size);
      const said = [...news(mine, theirs)];
      const answered = [...news(theirs, mine)];
      for (const view of said) other.member.merge(view);
      for (const view of answered) one.member.merge(view);
      done?.();
    });
  }

  #latencyMs(): number {
    const [least, most] = this.#options.latencyMs;
    return least + (most - least) * this.#options.random();
  }
}

function news(of: MemberTable, to: MemberTable): Iterable<MemberView> {
  return of instanceof SharedTable && to instanceof SharedTable ? of.differingFrom(to) : of;
}

function viewOf(place: number, meta: Uint8Array): MemberView {
  return {
    name: `member-${String(place)}`,
    // 10.0.0.0/8, by place.
    address: Uint8Array.of(10, place >>> 16, (place >>> 8) & 255, place & 255),
    ...{ port: PORT, meta, versions: VERSIONS, incarnation: 1, state: 'alive', since: 0 },
  };
}

function placeOf({ address }: Endpoint): number {
  return ((address[1] ?? 0) << 16) | ((address[2] ?? 0) << 8) | (address[3] ?? 0);
}

/** In the order of a table that grew by joins and by losses. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const drawn = items.map((item) => ({ item, at: random() }));
  return drawn.sort((one, other) => one.at - other.at).map(({ item }) => item);
}
