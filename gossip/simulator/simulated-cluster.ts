import { GossipMember } from '../core/gossip-member.js';
import { isGone, OwnTable } from '../core/member.js';
import type { MemberTable, MemberView } from '../core/member.js';
import type { MemberChange } from '../core/membership.js';
import type { Profile } from '../core/profile.js';
import { Reconnection } from '../serf/reconnection.js';
import { SimulatedNetwork, SimulatedTransport } from './network.js';
import type { NetworkOptions, Node } from './network.js';
import { viewOf } from './places.js';
import { ProcessClock } from './process-clock.js';
import { Roster, SharedTable } from './shared-table.js';
import { stateBytes, Traffic } from './traffic.js';
import { VirtualTime } from './virtual-time.js';

/** A cluster to simulate. */
export interface ClusterOptions extends Omit<NetworkOptions, 'time' | 'traffic'> {
  readonly members: number;
  readonly profile: Profile;
  /** 0 to 1, not 1, the same again for the same seed. */
  readonly random: () => number;
  /** Whether a member that was stopped notices it. */
  readonly watchesStalls: boolean;
  /** What every member carries, as Serf's tags. Default: nothing. */
  readonly meta?: Uint8Array;
  /** Whether members try those again that failed, as agents of Serf do. Default: no. */
  readonly reconnects?: boolean;
  readonly onChange?: (observer: number, change: MemberChange) => void;
}

const PORT = 7946;
const NOTHING = new Uint8Array();

/** A cluster in virtual time: the members of the product on a network that loses and delays as asked. */
export class SimulatedCluster {
  readonly time = new VirtualTime();
  readonly traffic: Traffic;
  readonly #options: ClusterOptions;
  readonly #roster: Roster;
  readonly #network: SimulatedNetwork;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { members, meta = NOTHING, random } = options;
    this.#roster = new Roster(Array.from({ length: members }, (_, place) => viewOf(place, meta)));
    const { views } = this.#roster;
    this.traffic = new Traffic(
      stateBytes(shuffled(views, random).map((view) => ({ ...view, port: PORT }))).packed /
        views.length,
    );
    const { time, traffic } = this;
    this.#network = new SimulatedNetwork({ ...options, time, traffic });
    for (const [place, view] of views.entries())
      this.#network.nodes.push(this.#nodeOf(place, view, new SharedTable(this.#roster)));
  }

  /** Those too that joined or crashed. */
  get size(): number {
    return this.#network.nodes.length;
  }

  member(place: number): GossipMember {
    return this.#network.node(place).member;
  }

  isCrashed(place: number): boolean {
    return this.#network.node(place).crashed;
  }

  sideOf(place: number): number {
    return this.#network.node(place).side;
  }

  /** Everybody knows everybody: a cluster that has been there for long. */
  start(): void {
    for (const { member } of this.#network.nodes) member.startKnown(1);
  }

  /** A new member that knows nobody joins by an exchange with another; returns its place. */
  join(seed: number): number {
    const place = this.size;
    const { meta = NOTHING } = this.#options;
    const node = this.#nodeOf(place, viewOf(place, meta), new OwnTable());
    this.#network.nodes.push(node);
    node.member.start();
    this.exchange(place, seed);
    return place;
  }

  crash(place: number): void {
    const node = this.#network.node(place);
    node.crashed = true;
    node.member.stop();
  }

  pause(place: number, forMs: number): void {
    this.#network.pause(this.#network.node(place), forMs);
  }

  /** Members of different sides don't hear each other. All are on side 0 at first. */
  moveTo(place: number, side: number): void {
    this.#network.node(place).side = side;
  }

  /** One member exchanges all that it knows with another, as by a join. */
  exchange(place: number, withPlace: number): void {
    this.#network.exchange(this.#network.node(place), this.#network.node(withPlace), true);
  }

  runFor(ms: number): void {
    this.time.runUntil(this.time.monotonicMs() + ms);
  }

  #nodeOf(place: number, view: MemberView, table: MemberTable): Node {
    const { profile, random, watchesStalls, reconnects = false, onChange } = this.#options;
    const { name, meta, versions } = view;
    const clock = new ProcessClock(this.time, (lateMs) => {
      if (watchesStalls) member.stalled(lateMs);
    });
    const transport = new SimulatedTransport(this.#network);
    const member: GossipMember = new GossipMember({
      name,
      endpoint: view,
      meta,
      versions,
      profile,
      random,
      clock,
      table,
      transport,
      onChange: (change) => {
        reconnection?.changed(change);
        onChange?.(place, change);
      },
    });
    const reconnection = reconnects ? this.#reconnectionOf(place, clock) : undefined;
    const node: Node = { endpoint: view, member, clock, crashed: false, side: 0, waiting: 0 };
    transport.node = node;
    return node;
  }

  #reconnectionOf(place: number, clock: ProcessClock): Reconnection {
    const { profile, random } = this.#options;
    return new Reconnection({
      ...{ profile, random, clock },
      here: () => [...this.member(place).table].filter((view) => !isGone(view)).length,
      exchange: (withWhom, done) => {
        this.#network.exchange(
          this.#network.node(place),
          this.#network.nodeAt(withWhom),
          true,
          done,
        );
      },
    });
  }
}

/** In the order of a table that grew by joins and by losses. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const drawn = items.map((item) => ({ item, at: random() }));
  return drawn.sort((one, other) => one.at - other.at).map(({ item }) => item);
}
