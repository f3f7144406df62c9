import { randomInt } from 'node:crypto';

import { systemClock } from '../runtime/clock.js';
import { invalidArgument, messageOf, unavailable } from '../runtime/errors.js';
import { silentLogger } from '../runtime/logger.js';
import type { Logger } from '../runtime/logger.js';
import { encodedOf } from './core/encoded.js';
import { GossipMember } from './core/gossip-member.js';
import type { Transport } from './core/gossip-member.js';
import type { Endpoint, MemberView } from './core/member.js';
import type { MemberChange } from './core/membership.js';
import { lan } from './core/profile.js';
import type { Profile } from './core/profile.js';
import { StallWatch } from './core/stall-watch.js';
import type { DropReason, GossipCounts } from './counts.js';
import { guarded } from './guarded-delegate.js';
import { checkMeta, checkOptions, DEFAULT_PORT, wireOf } from './memberlist-options.js';
import type { MemberlistOptions } from './memberlist-options.js';
import { addressBytes, endpointText, parseEndpoint } from './net/address.js';
import { Exchanges } from './net/exchanges.js';
import { Sockets } from './net/sockets.js';
import { MAX_MEMBERS, MAX_USER_BYTES } from './wire/limits.js';
import type { Message } from './wire/messages.js';
import { COMPOUND_BYTES, COMPOUND_PART_BYTES } from './wire/packet.js';
import { openPacket, overheadBytes, sealPacket } from './wire/packet.js';
import type { WireOptions } from './wire/packet.js';
import { WireError } from './wire/wire-error.js';

/** Of memberlist's own protocol: understood at least and at most, and spoken. */
const PROTOCOL = [1, 5, 2] as const;
const NOTHING = new Uint8Array();
/** What says that a message is one of the program on top. */
const TYPE_BYTES = 1;
/** A stall is worth a warning from here on; on a busy machine short ones are usual. */
const LONG_STALL_MS = 1000;

/** A member of a cluster of memberlist, on real sockets. Owns them: `stop` it. `leave` says goodbye first. */
export class Memberlist implements AsyncDisposable {
  readonly counts: GossipCounts;
  readonly #options: MemberlistOptions;
  readonly #profile: Profile;
  readonly #wire: WireOptions;
  readonly #log: Logger;
  readonly #member: GossipMember;
  readonly #exchanges: Exchanges;
  #sockets: Sockets | undefined;
  #endpoint: Endpoint;

  private constructor(options: MemberlistOptions) {
    checkOptions(options);
    const { name, clock = systemClock, random = Math.random } = options;
    const { delegateVersions = [0, 0, 0] } = options;
    this.#options = options;
    this.#profile = options.profile ?? lan;
    this.#log = options.log ?? silentLogger();
    this.#wire = wireOf(options);
    this.#endpoint = { address: addressBytes(options.bind ?? '127.0.0.1'), port: 0 };
    const watch = new StallWatch(clock, this.#profile.probeTimeoutMs, (lateMs) => {
      const level = lateMs >= LONG_STALL_MS ? 'warn' : 'debug';
      this.#log[level]({ lateMs: Math.round(lateMs) }, 'the event loop stood still');
      this.#member.stalled(lateMs);
    });
    const delegate = guarded(options.delegate ?? {}, (error) => {
      this.#failed(error);
    });
    this.#member = new GossipMember({
      ...{ name, delegate, random, endpoint: this.#endpoint, meta: options.meta ?? NOTHING },
      ...{ versions: Uint8Array.of(...PROTOCOL, ...delegateVersions), profile: this.#profile },
      ...{ clock: watch, transport: this.#transport(), firstSequence: randomInt(2 ** 32) },
      maxMembers: options.maxMembers ?? MAX_MEMBERS,
      onChange: (change) => {
        this.#changed(change);
      },
      onDrop: (why) => {
        this.#count(why);
      },
    });
    this.counts = countsOf(this.#member);
    this.#exchanges = new Exchanges(
      {
        ...{ member: this.#member, wire: this.#wire, delegate },
        timeoutMs: this.#profile.tcpTimeoutMs,
        dial: async (to, timeoutMs) => this.#opened().dial(to, timeoutMs),
        limit: (socket, timeoutMs) => this.#sockets?.limit(socket, timeoutMs),
        dropped: (why, from, problem) => {
          this.#drop(why, from, problem);
        },
        failed: (error) => {
          this.#failed(error);
        },
        exchanged: () => this.counts.exchanges++,
      },
      randomInt(2 ** 32),
    );
  }

  /** Listens, and is the only member of its cluster until it joins another. Errors: INVALID_ARGUMENT, and what the system says of the address. */
  static async create(options: MemberlistOptions): Promise<Memberlist> {
    const list = new Memberlist(options);
    await list.#open();
    return list;
  }

  /** All that are not gone. */
  members(): MemberView[] {
    return [...this.#member.table].filter(({ state }) => state === 'alive' || state === 'suspect');
  }

  /** Those too that died or left and are not forgotten yet. */
  allMembers(): MemberView[] {
    return [...this.#member.table];
  }

  /** One that is known, gone ones too. */
  member(name: string): MemberView | undefined {
    return this.#member.table.get(name);
  }

  /** Largest message of the program on top that a packet has room for, bytes. */
  get roomBytes(): number {
    return this.#member.roomBytes - TYPE_BYTES;
  }

  /** This member, as it told the others. */
  localMember(): MemberView {
    const view = this.#member.table.get(this.#options.name);
    if (!view) throw new Error('this member is not in its own list');
    return view;
  }

  /** 0 = well, up to 7: how much this member doubts itself. */
  get awareness(): number {
    return this.#member.awareness.score;
  }

  /** Exchanges all with these members, `ADDRESS:PORT` each; returns how many answered. UNAVAILABLE where none did. */
  async join(addresses: readonly string[]): Promise<number> {
    const endpoints = addresses.map((address) => parseEndpoint(address, DEFAULT_PORT));
    const tried = await Promise.allSettled(
      endpoints.map((one) => this.#exchanges.exchange(one, true)),
    );
    const failed = tried.flatMap((one) =>
      one.status === 'rejected' ? [messageOf(one.reason)] : [],
    );
    const reached = tried.length - failed.length;
    if (reached === 0 && failed.length > 0)
      throw unavailable('NOT_JOINED', `no member could be joined: ${failed.join('; ')}`);
    return reached;
  }

  /** Tells everybody other tags; resolves when they were passed on often enough. */
  updateMeta(meta: Uint8Array): Promise<void> {
    checkMeta(meta);
    return this.#member.updateMeta(meta);
  }

  /** Tells everybody a message of the program on top, sooner or later. It has to fit into a packet. */
  broadcast(bytes: Uint8Array): Promise<void> {
    this.#checkRoom(bytes);
    return new Promise((resolve) => {
      this.#member.broadcast(bytes, resolve);
    });
  }

  /** A message to one member in one packet, which may be lost. */
  sendBestEffort(to: Endpoint, bytes: Uint8Array): void {
    this.#checkRoom(bytes);
    this.#send(to, [{ kind: 'user', payload: bytes }]);
  }

  /** A message to one member over TCP, 20 MiB at most (encrypted, 100 bytes less). UNAVAILABLE, or DEADLINE_EXCEEDED, where it is not reached. */
  async sendReliable(to: Endpoint, bytes: Uint8Array): Promise<void> {
    if (bytes.length > MAX_USER_BYTES)
      throw invalidArgument(
        'message',
        `has ${String(bytes.length)} bytes, at most ${String(MAX_USER_BYTES)}`,
      );
    await this.#exchanges.send(to, bytes);
  }

  /** Something that the program on top was sent is nothing that it understands: it counts with the rest. */
  refuse({ problem, message }: WireError): void {
    this.#count(problem);
    this.#log.debug({ why: problem, problem: message }, 'dropped');
  }

  /** Says goodbye; resolves when it was passed on, or after so long. Still answers until `stop`. */
  async leave(timeoutMs = 5000): Promise<void> {
    const { clock = systemClock } = this.#options;
    await new Promise<void>((resolve) => {
      const cancel = clock.schedule(timeoutMs, resolve);
      void this.#member.leave().then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Ends at once, without a word: others find out. Idempotent. */
  async stop(): Promise<void> {
    this.#member.stop();
    const sockets = this.#sockets;
    this.#sockets = undefined;
    await sockets?.[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #open(): Promise<void> {
    const { bind = '127.0.0.1', port = DEFAULT_PORT, advertise } = this.#options;
    this.#sockets = await Sockets.open(bind, port, {
      packet: (bytes, from) => {
        this.#onPacket(bytes, from);
      },
      connection: (socket) => {
        void this.#exchanges.answer(socket);
      },
      tooMany: (from) => {
        this.#drop('too_many', from, 'too many connections at once');
      },
      unsent: (error) => {
        this.#log.debug({ err: error }, 'a packet was not sent');
      },
      unaccepted: (error) => {
        this.#log.warn({ err: error }, 'a connection could not be taken');
      },
    });
    const { local } = this.#sockets;
    this.#endpoint = advertise === undefined ? local : parseEndpoint(advertise, local.port);
    this.#member.start(this.#endpoint);
  }

  #transport(): Transport {
    return {
      overheadBytes: overheadBytes(this.#wire),
      send: (to, messages) => {
        this.#send(to, messages);
      },
      pingByTcp: (member, timeoutMs, answered) => {
        this.#exchanges.ping(member, timeoutMs).then(
          (reached) => {
            if (reached) answered();
          },
          () => undefined,
        );
      },
      exchange: (withWhom, join) => this.#exchanges.exchange(withWhom, join),
    };
  }

  /** In one packet, or in one each where names are so long that they don't fit into one. */
  #send(to: Endpoint, messages: readonly Message[]): void {
    const parts = messages.map(encodedOf);
    if (
      parts.length > 1 &&
      compoundBytes(parts) + overheadBytes(this.#wire) > this.#profile.packetBytes
    )
      for (const part of parts) this.#sendPacket(to, [part]);
    else this.#sendPacket(to, parts);
  }

  #sendPacket(to: Endpoint, parts: readonly Uint8Array[]): void {
    const packet = sealPacket(parts, this.#wire);
    this.counts.packetsOut++;
    this.counts.bytesOut += packet.length;
    this.#sockets?.send(packet, to);
  }

  #onPacket(bytes: Uint8Array, from: Endpoint): void {
    this.counts.packetsIn++;
    this.counts.bytesIn += bytes.length;
    try {
      const { messages, problems } = openPacket(bytes, this.#wire);
      for (const { problem, message } of problems) this.#drop(problem, from, message);
      this.#member.receive(messages, from);
    } catch (error) {
      if (error instanceof WireError) this.#drop(error.problem, from, error.message);
      else this.#failed(error);
    }
  }

  #changed(change: MemberChange): void {
    try {
      this.#options.onChange?.(change);
    } catch (error) {
      this.#failed(error);
    }
  }

  #drop(why: string, from: Endpoint, problem: string): void {
    this.#count(why as DropReason);
    if (this.#log.isLevelEnabled('debug'))
      this.#log.debug({ from: endpointText(from), why, problem }, 'dropped');
  }

  #count(why: DropReason): void {
    const { dropped } = this.counts;
    dropped.set(why, (dropped.get(why) ?? 0) + 1);
  }

  /** What a packet of a stranger must not end: this process. */
  #failed(error: unknown): void {
    this.#count('failed');
    this.#log.error({ err: error }, 'something could not be said or taken');
  }

  #opened(): Sockets {
    if (!this.#sockets) throw unavailable('STOPPED', 'this member was stopped');
    return this.#sockets;
  }

  #checkRoom(bytes: Uint8Array): void {
    const room = this.roomBytes;
    if (bytes.length > room)
      throw invalidArgument(
        'message',
        `has ${String(bytes.length)} bytes, a packet has room for ${String(room)}`,
      );
  }
}

function countsOf(member: GossipMember): GossipCounts {
  return {
    ...{ packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0, exchanges: 0 },
    get refuted() {
      return member.membership.refuted;
    },
    dropped: new Map(),
  };
}

/** Of a compound message. */
function compoundBytes(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + COMPOUND_PART_BYTES + length, COMPOUND_BYTES);
}
