import type { GossipMember, Transport } from '../core/gossip-member.js';
import { isSameAlive } from '../core/member.js';
import type { Endpoint, MemberTable, MemberView } from '../core/member.js';
import type { Message } from '../wire/messages.js';
import { Due } from './due.js';
import { placeOf } from './places.js';
import type { ProcessClock } from './process-clock.js';
import { SharedTable } from './shared-table.js';
import type { Traffic } from './traffic.js';
import type { VirtualTime } from './virtual-time.js';

/** A member on the network. */
export interface Node {
  readonly endpoint: Endpoint;
  readonly member: GossipMember;
  readonly clock: ProcessClock;
  crashed: boolean;
  /** Members of one side hear each other only. */
  side: number;
  /** Packets that wait in the socket of a stopped process. */
  waiting: number;
}

export interface NetworkOptions {
  readonly time: VirtualTime;
  readonly traffic: Traffic;
  /** 0 to 1, not 1. */
  readonly random: () => number;
  /** Share of packets that are lost, 0 to 1. TCP loses none: it sends again. */
  readonly loss: number;
  /** Shortest and longest way of a packet, ms. */
  readonly latencyMs: readonly [number, number];
}

/** A socket's buffer holds about so many small packets; what comes then is lost. */
const SOCKET_PACKETS = 512;
const AFTER_TIMERS_MS = 0.001;
/** Ways of packets until an exchange is done: handshake, and all both ways. */
const EXCHANGE_WAYS = 4;

/** A packet on its way. It holds what is needed of the sender, which lies somewhere else in memory. */
class Delivery extends Due {
  readonly from: Endpoint;
  readonly side: number;
  readonly to: Node;
  readonly messages: readonly Message[];
  readonly #network: SimulatedNetwork;

  constructor(
    network: SimulatedNetwork,
    atMs: number,
    sender: Node,
    to: Node,
    messages: readonly Message[],
  ) {
    super(atMs, network.time.nextOrder());
    this.#network = network;
    this.from = sender.endpoint;
    this.side = sender.side;
    this.to = to;
    this.messages = messages;
  }

  happens(): void {
    this.#network.arrive(this);
  }
}

/** One member's way into the network. */
export class SimulatedTransport implements Transport {
  readonly overheadBytes = 0;
  readonly #network: SimulatedNetwork;
  /** Whose it is; there is none before the member is made. */
  node: Node | undefined;

  constructor(network: SimulatedNetwork) {
    this.#network = network;
  }

  send(to: Endpoint, messages: readonly Message[], bytes: number): void {
    if (this.node) this.#network.send(this.node, to, messages, bytes);
  }

  pingByTcp(member: MemberView, timeoutMs: number, answered: () => void): void {
    if (this.node) this.#network.pingByTcp(this.node, member, timeoutMs, answered);
  }

  exchange(withWhom: Endpoint, join: boolean): Promise<void> {
    if (this.node) this.#network.exchange(this.node, this.#network.nodeAt(withWhom), join);
    return Promise.resolve();
  }
}

/** A network in virtual time, which loses and delays as asked, between processes that may be stopped. */
export class SimulatedNetwork {
  readonly time: VirtualTime;
  /** By place. */
  readonly nodes: Node[] = [];
  readonly #options: NetworkOptions;
  /** Whether any process was stopped: else no clock needs to be asked. */
  #paused = false;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.time = options.time;
  }

  node(place: number): Node {
    const node = this.nodes[place];
    if (!node) throw new Error(`there is no member ${String(place)}`);
    return node;
  }

  nodeAt(endpoint: Endpoint): Node {
    return this.node(placeOf(endpoint, this.nodes.length));
  }

  pause(node: Node, forMs: number): void {
    this.#paused = true;
    node.clock.pause(forMs);
  }

  /** `bytes`: of the messages, each with what stands before it in a packet of several. */
  send(sender: Node, to: Endpoint, messages: readonly Message[], bytes: number): void {
    const { random, loss, traffic } = this.#options;
    traffic.packet(messages, bytes);
    if (loss > 0 && random() < loss) return;
    const atMs = this.time.in(this.#latencyMs());
    this.time.enter(new Delivery(this, atMs, sender, this.nodeAt(to), messages));
  }

  /** A packet is there. */
  arrive({ from, side, to, messages }: Delivery): void {
    if (to.crashed || to.side !== side) return;
    if (this.#paused && to.clock.isPaused) this.#wait(to, messages, from);
    else to.member.receive(messages, from);
  }

  /** A stopped process answers when it goes on; one that stops meanwhile hears it then. */
  pingByTcp(asker: Node, to: Endpoint, timeoutMs: number, answered: () => void): void {
    const target = this.nodeAt(to);
    const untilMs = this.time.monotonicMs() + timeoutMs;
    this.#options.traffic.tcpPing();
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
  exchange(one: Node, other: Node, join: boolean, done?: () => void): void {
    this.time.after(EXCHANGE_WAYS * this.#latencyMs(), () => {
      const apart = other.side !== one.side;
      if (other.crashed || one.crashed || apart || other.clock.isPaused || one.clock.isPaused)
        return;
      const [mine, theirs] = [one.member.table, other.member.table];
      const said = [...news(mine, theirs)];
      const answered = [...news(theirs, mine)];
      // Who answers says itself, and what the one who asked does not hold; all to who joins.
      const isNews = (view: MemberView): boolean => {
        const known = mine.get(view.name);
        return view.name !== other.member.name && !(known && isSameAlive(known, view));
      };
      const told = join ? theirs.size : 1 + answered.filter(isNews).length;
      this.#options.traffic.exchange(mine.size, told);
      for (const view of said) other.member.merge(view);
      for (const view of answered) one.member.merge(view);
      done?.();
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

  #latencyMs(): number {
    const [least, most] = this.#options.latencyMs;
    return least + (most - least) * this.#options.random();
  }
}

function news(of: MemberTable, to: MemberTable): Iterable<MemberView> {
  return of instanceof SharedTable && to instanceof SharedTable ? of.differingFrom(to) : of;
}
