import type { Clock } from '../../runtime/clock.js';
import type { Message, Versions } from '../wire/messages.js';
import type { RemoteMember } from '../wire/push-pull.js';
import { Awareness } from './awareness.js';
import type { Drop } from './drop.js';
import { pushPullMs } from './formulas.js';
import { isGone, OwnTable } from './member.js';
import type { Endpoint, MemberTable, MemberView } from './member.js';
import { Membership } from './membership.js';
import type { MemberChange } from './membership.js';
import { Outgoing } from './outgoing.js';
import { pickMembers } from './pick-members.js';
import { Prober } from './prober.js';
import type { MemberSelf } from './prober.js';
import type { Profile } from './profile.js';

/** How a member reaches others. It owns sockets, or stands for them in a simulation. */
export interface Transport {
  /** Bytes of a packet that are not messages: label and encryption. */
  readonly overheadBytes: number;
  /** One packet, which may be lost. `bytes`: what its messages take, each with what stands before it in a packet of several. */
  send(to: Endpoint, messages: readonly Message[], bytes: number): void;
  /** Asks over TCP, and says so if it answered in time. */
  pingByTcp(member: MemberView, timeoutMs: number, answered: () => void): void;
  /** Exchanges all that is known over TCP. Rejects where it can't. */
  exchange(withWhom: Endpoint, join: boolean): Promise<void>;
}

/** What a program on top puts into gossip, and hears from it. */
export interface Delegate {
  /** A message of others; `bytes` are its own. */
  onUserMessage?(bytes: Uint8Array): void;
  /** State of its own for an exchange. `heard`: what the other side has said of its own; what it knows from there needs not be told to it again. */
  localState?(join: boolean, heard?: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** State of the other side in an exchange. */
  mergeState?(bytes: Uint8Array, join: boolean): void | Promise<void>;
  /** Rides on answers to pings. */
  ackPayload?(): Uint8Array;
  /** A member answered after so long, with what rode on it. */
  onAnswer?(member: MemberView, roundTripMs: number, payload: Uint8Array): void;
}

export interface GossipMemberOptions {
  readonly name: string;
  readonly endpoint: Endpoint;
  /** At most 512 bytes. */
  readonly meta: Uint8Array;
  readonly versions: Versions;
  readonly profile: Profile;
  readonly clock: Clock;
  /** 0 to 1, not 1. */
  readonly random: () => number;
  readonly transport: Transport;
  readonly delegate?: Delegate;
  /** Default: one of its own. */
  readonly table?: MemberTable;
  readonly onChange?: (change: MemberChange) => void;
  /** Something that was said counts for nothing. */
  readonly onDrop?: (why: Drop) => void;
  /** Members that are known at most, gone ones too. Default: as many as there are. */
  readonly maxMembers?: number;
  /** Number of the first ping, 32 bits. Default 0; on a network one that nobody can guess, so that answers can't be made up or said again. */
  readonly firstSequence?: number;
}

/** Who leaves tells so many others itself, as its rumour may be spent on members that are gone too. */
const FAREWELLS = 16;
/** Places of the list that are looked at for them: in a large cluster rumours do it. */
const FAREWELL_PLACES = 256;
/** Gone members are forgotten after so many times the time in which they still hear rumours: then a restart is a new member. */
const FORGET_AFTER = 2;

/**
 * A member of a cluster, without sockets and clocks of its own: packets and time come in, packets go out through the transport. The same code runs in the
 * simulator and on the network.
 */
export class GossipMember {
  readonly table: MemberTable;
  readonly awareness: Awareness;
  readonly membership: Membership;
  readonly #options: GossipMemberOptions;
  readonly #outgoing: Outgoing;
  readonly #prober: Prober;
  #endpoint: Endpoint;
  readonly #self: { -readonly [Key in keyof MemberSelf]: MemberSelf[Key] };
  #meta: Uint8Array;
  #gossip: (() => void) | undefined;
  #pushPull: () => void = () => undefined;
  #running = false;
  #farewell: Promise<void> | undefined;

  constructor(options: GossipMemberOptions) {
    const { name, profile, clock, random, transport, delegate } = options;
    this.#options = options;
    this.#endpoint = options.endpoint;
    this.#meta = options.meta;
    this.table = options.table ?? new OwnTable();
    this.awareness = new Awareness(profile.awarenessMaxMultiplier);
    const dropped = (why: Drop): void => options.onDrop?.(why);
    this.#outgoing = new Outgoing(transport, profile, this.table);
    this.membership = new Membership(name, {
      profile,
      clock,
      table: this.table,
      awareness: this.awareness,
      dropped,
      maxMembers: options.maxMembers ?? Infinity,
      spread: (message, finished) => {
        this.#spread(message, message.name, finished);
      },
      changed: (change) => options.onChange?.(change),
    });
    const { address, port } = options.endpoint;
    this.#self = { name, address, port, ackPayload: () => delegate?.ackPayload?.() ?? NOTHING };
    this.#prober = new Prober({
      profile,
      clock,
      random,
      table: this.table,
      awareness: this.awareness,
      dropped,
      firstSequence: options.firstSequence ?? 0,
      self: this.#self,
      outgoing: this.#outgoing,
      transport,
      suspect: (accusation) => {
        this.membership.suspect(accusation);
      },
      roundBegins: () => {
        this.#forget();
      },
      answered: (member, roundTripMs, payload) =>
        delegate?.onAnswer?.(member, roundTripMs, payload),
    });
  }

  get name(): string {
    return this.#options.name;
  }

  /** Largest message, with its type, that a packet has room for, bytes. */
  get roomBytes(): number {
    return this.#outgoing.roomBytes;
  }

  /** Rumours that are still to be passed on. */
  get rumours(): number {
    return this.#outgoing.rumours;
  }

  /** Enters itself and begins to probe and to gossip. `endpoint`: where others reach it, if that is known only now. */
  start(endpoint = this.#endpoint): void {
    this.#endpoint = endpoint;
    this.#self.address = endpoint.address;
    this.#self.port = endpoint.port;
    this.#running = true;
    this.#announce();
    this.#begin();
  }

  /** Begins as a member that everybody knows already, with this incarnation: so a simulation begins. */
  startKnown(incarnation: number): void {
    this.#running = true;
    this.membership.resume(incarnation);
    const { profile } = this.#options;
    this.#begin(pushPullMs(profile, this.table.size));
  }

  /** Ends at once, without a word; whoever waits for something to be passed on waits no longer. */
  stop(): void {
    this.#running = false;
    this.#prober.stop();
    this.membership.stop();
    this.#gossip?.();
    this.#pushPull();
    this.#outgoing.clear();
  }

  /** Tells everybody other tags; resolves when it was passed on often enough, at once where nobody else is there. */
  updateMeta(meta: Uint8Array): Promise<void> {
    this.#meta = meta;
    return new Promise((resolve) => {
      this.#announce(resolve);
      if (this.membership.isAlone) resolve();
    });
  }

  /** Says goodbye, once; resolves when it was passed on often enough, at once where nobody is left. Goes on answering until `stop`. */
  leave(): Promise<void> {
    this.#farewell ??= new Promise((resolve) => {
      const { isAlone } = this.membership;
      this.membership.leave(resolve);
      this.#sayFarewell();
      if (isAlone) resolve();
    });
    return this.#farewell;
  }

  /** Tells everybody a message of the program on top. `finished`: it was passed on often enough, or nobody else is there. */
  broadcast(bytes: Uint8Array, finished?: () => void): void {
    const { isAlone } = this.membership;
    this.#spread({ kind: 'user', payload: bytes }, undefined, isAlone ? undefined : finished);
    if (isAlone) finished?.();
  }

  /** A packet arrived. */
  receive(messages: readonly Message[], from: Endpoint): void {
    if (!this.#running) return;
    for (const message of messages) this.#take(message, from);
  }

  /** Takes what the other side of an exchange holds of one member. */
  merge(remote: RemoteMember): void {
    if (this.#running) this.membership.merge(remote);
  }

  /** The process was away for so long, ms: it doubts itself before others. */
  stalled(forMs: number): void {
    const { profile } = this.#options;
    if (forMs < profile.probeTimeoutMs) return;
    this.awareness.add(1);
    this.membership.stalled(forMs);
    this.#prober.stalled();
  }

  /** `exchangeWithinMs`: the first exchange comes at some time within it. */
  #begin(exchangeWithinMs = this.#options.profile.pushPullIntervalMs): void {
    this.#prober.start();
    const { profile, random } = this.#options;
    if (profile.pushPullIntervalMs > 0) this.#pushPullIn(random() * exchangeWithinMs);
  }

  /** Each of some others that are there hears it once, directly: all of them in a small cluster. */
  #sayFarewell(): void {
    const { name, random } = this.#options;
    const { incarnation } = this.membership;
    const farewell: Message = { kind: 'dead', incarnation, name, from: name };
    const { size } = this.table;
    const start = Math.floor(random() * size);
    for (let told = 0, place = 0; told < FAREWELLS && place < Math.min(size, FAREWELL_PLACES);) {
      const view = this.table.at((start + place++) % size);
      if (!view || view.name === name || isGone(view)) continue;
      this.#outgoing.sendAlone(view, farewell);
      told++;
    }
  }

  #announce(finished?: () => void): void {
    const { versions } = this.#options;
    this.membership.announce({ ...this.#endpoint, meta: this.#meta, versions }, finished);
  }

  #take(message: Message, from: Endpoint): void {
    switch (message.kind) {
      case 'ping':
        this.#prober.onPing(message, from);
        return;
      case 'indirectPing':
        this.#prober.onIndirectPing(message, from);
        return;
      case 'ack':
        this.#prober.onAck(message);
        return;
      case 'nack':
        this.#prober.onNack(message.sequence);
        return;
      case 'alive':
        this.membership.alive(message);
        return;
      case 'suspect':
        this.membership.suspect(message);
        return;
      case 'dead':
        this.membership.dead(message);
        return;
      case 'user':
        this.#options.delegate?.onUserMessage?.(message.payload);
    }
  }

  #spread(message: Message, about: string | undefined, finished?: () => void): void {
    if (!this.#running) {
      finished?.();
      return;
    }
    this.#outgoing.spread(message, about, finished);
    this.#gossipSoon();
  }

  /** Rumours that find no ping to ride on go out by themselves. There is no tick while there is none. */
  #gossipSoon(): void {
    if (this.#gossip || !this.#running) return;
    const { clock, profile } = this.#options;
    this.#gossip = clock.schedule(profile.gossipIntervalMs, () => {
      this.#gossip = undefined;
      this.#gossipNow();
      if (this.#outgoing.rumours > 0) this.#gossipSoon();
    });
  }

  #gossipNow(): void {
    const { profile, random, clock, name } = this.#options;
    const nowMs = clock.monotonicMs();
    const hears = (view: MemberView): boolean =>
      view.name !== name && (!isGone(view) || nowMs - view.since < profile.gossipToTheDeadMs);
    for (const member of pickMembers(this.table, random, profile.gossipMembers, hears))
      if (!this.#outgoing.gossip(member)) return;
  }

  /** Whoever was gone for long. */
  #forget(): void {
    this.membership.forget(FORGET_AFTER * this.#options.profile.gossipToTheDeadMs);
  }

  #pushPullIn(delayMs: number): void {
    const { clock, profile, random, name, transport } = this.#options;
    this.#pushPull = clock.schedule(delayMs, () => {
      this.#forget();
      const fits = (view: MemberView): boolean => view.name !== name && view.state === 'alive';
      const [member] = pickMembers(this.table, random, 1, fits);
      // Another one comes; probes tell who is not there.
      if (member) transport.exchange(member, false).catch(() => undefined);
      this.#pushPullIn(pushPullMs(profile, this.table.size));
    });
  }
}

const NOTHING = new Uint8Array();
