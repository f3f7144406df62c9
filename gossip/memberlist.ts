import type { Socket } from 'node:net';

import { systemClock } from '../runtime/clock.js';
import type { Clock } from '../runtime/clock.js';
import { invalidArgument, messageOf, unavailable } from '../runtime/errors.js';
import { silentLogger } from '../runtime/logger.js';
import type { Logger } from '../runtime/logger.js';
import { encodedOf } from './core/encoded.js';
import { GossipMember } from './core/gossip-member.js';
import type { Delegate, Transport } from './core/gossip-member.js';
import type { Endpoint, MemberView } from './core/member.js';
import type { MemberChange } from './core/membership.js';
import { lan } from './core/profile.js';
import type { Profile } from './core/profile.js';
import { StallWatch } from './core/stall-watch.js';
import { addressBytes, endpointText, parseEndpoint } from './net/address.js';
import { hear, say, stateOf } from './net/conversation.js';
import type { RemoteState } from './net/conversation.js';
import { Slices } from './net/sliced.js';
import { Sockets } from './net/sockets.js';
import { MAX_LABEL_BYTES } from './wire/label.js';
import type { Keyring } from './wire/keyring.js';
import { encodeMessage, MAX_META_BYTES, MAX_NAME_BYTES } from './wire/messages.js';
import type { Message } from './wire/messages.js';
import { openPacket, overheadBytes, sealPacket } from './wire/packet.js';
import type { WireOptions } from './wire/packet.js';
import { encodeRefusal, encodeUserStream } from './wire/stream.js';
import { WireError } from './wire/wire-error.js';

/** Where memberlist listens by custom. */
export const DEFAULT_PORT = 7946;

export interface MemberlistOptions {
  /** Unique in the cluster. */
  readonly name: string;
  /** IP address to listen on. Default 127.0.0.1. */
  readonly bind?: string;
  /** Default 7946; 0 = any. */
  readonly port?: number;
  /** Address that others reach it at, if it is not the one that it listens on. */
  readonly advertise?: string;
  /** What all others see of it; at most 512 bytes. */
  readonly meta?: Uint8Array;
  /** Default `lan`. */
  readonly profile?: Profile;
  /** Keys of the cluster; without one nothing is encrypted and anybody can say anything. */
  readonly keyring?: Keyring;
  /** With keys: whether what comes in plain is dropped. Default true; false while keys are being introduced. */
  readonly verifyIncoming?: boolean;
  /** Keeps clusters on one network apart; no secret. At most 255 bytes. */
  readonly label?: string;
  /** Default true. */
  readonly compress?: boolean;
  /** Versions of the delegate's protocol that are understood at least and at most, and the one that is spoken. Default 0, 0, 0; those of Serf are 2, 5, 5. */
  readonly delegateVersions?: readonly [least: number, most: number, spoken: number];
  readonly delegate?: Delegate;
  readonly onChange?: (change: MemberChange) => void;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** What was sent and received, and what was dropped and why. */
export interface GossipCounts {
  packetsIn: number;
  packetsOut: number;
  bytesIn: number;
  bytesOut: number;
  exchanges: number;
  /** By problem of a WireError, and `refused` for exchanges with members that don't fit. */
  readonly dropped: Map<string, number>;
}

/** Of memberlist's own protocol: understood at least and at most, and spoken. */
const PROTOCOL = [1, 5, 2] as const;
const NOTHING = new Uint8Array();

/** A member of a cluster of memberlist, on real sockets. Owns them: `stop` it. `leave` says goodbye first. */
export class Memberlist implements AsyncDisposable {
  readonly counts: GossipCounts = {
    ...{ packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0, exchanges: 0 },
    dropped: new Map(),
  };
  readonly #options: MemberlistOptions;
  readonly #profile: Profile;
  readonly #wire: WireOptions;
  readonly #log: Logger;
  readonly #member: GossipMember;
  #sockets: Sockets | undefined;
  #endpoint: Endpoint;
  #sequence = 0;

  private constructor(options: MemberlistOptions) {
    check(options);
    const { clock = systemClock, random = Math.random, delegateVersions = [0, 0, 0] } = options;
    this.#options = options;
    this.#profile = options.profile ?? lan;
    this.#log = options.log ?? silentLogger();
    this.#wire = {
      label: Buffer.from(options.label ?? ''),
      keyring: options.keyring,
      verifyIncoming: options.verifyIncoming ?? true,
      compress: options.compress ?? true,
    };
    this.#endpoint = { address: addressBytes(options.bind ?? '127.0.0.1'), port: 0 };
    const watch = new StallWatch(clock, this.#profile.probeTimeoutMs, (lateMs) => {
      this.#log.warn({ lateMs: Math.round(lateMs) }, 'the event loop stood still');
      this.#member.stalled(lateMs);
    });
    this.#member = new GossipMember({
      ...{ name: options.name, endpoint: this.#endpoint, meta: options.meta ?? NOTHING },
      ...{ versions: Uint8Array.of(...PROTOCOL, ...delegateVersions), profile: this.#profile },
      ...{ clock: watch, random, transport: this.#transport() },
      ...(options.delegate ? { delegate: options.delegate } : {}),
      ...(options.onChange ? { onChange: options.onChange } : {}),
    });
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
    const tried = await Promise.allSettled(endpoints.map((one) => this.#exchange(one, true)));
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

  /** A message to one member over TCP. UNAVAILABLE where it is not reached. */
  async sendReliable(to: Endpoint, bytes: Uint8Array): Promise<void> {
    const socket = await this.#dial(to);
    await say(socket, encodeUserStream(bytes), this.#wire, true);
    socket.end();
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
        void this.#answer(socket);
      },
      unsent: (error) => {
        this.#log.debug({ err: error }, 'a packet was not sent');
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
        this.#pingByTcp(member, timeoutMs).then(
          (reached) => {
            if (reached) answered();
          },
          () => undefined,
        );
      },
      exchange: (withWhom, join) => this.#exchange(withWhom, join),
    };
  }

  #send(to: Endpoint, messages: readonly Message[]): void {
    const packet = sealPacket(messages.map(encodedOf), this.#wire);
    this.counts.packetsOut++;
    this.counts.bytesOut += packet.length;
    this.#sockets?.send(packet, to);
  }

  #onPacket(bytes: Uint8Array, from: Endpoint): void {
    this.counts.packetsIn++;
    this.counts.bytesIn += bytes.length;
    try {
      const { messages, problems } = openPacket(bytes, this.#wire);
      for (const problem of problems) this.#drop(problem, from);
      this.#member.receive(messages, from);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#drop(error, from);
    }
  }

  #drop(error: WireError, from: Endpoint): void {
    const { dropped } = this.counts;
    dropped.set(error.problem, (dropped.get(error.problem) ?? 0) + 1);
    this.#log.debug({ from: endpointText(from), problem: error.message }, 'dropped');
  }

  async #dial(to: Endpoint, timeoutMs = this.#profile.tcpTimeoutMs): Promise<Socket> {
    if (!this.#sockets) throw unavailable('STOPPED', 'this member was stopped');
    return this.#sockets.dial(to, timeoutMs);
  }

  async #pingByTcp(member: MemberView, timeoutMs: number): Promise<boolean> {
    const socket = await this.#dial(member, Math.max(1, timeoutMs));
    try {
      this.#sequence = (this.#sequence + 1) >>> 0;
      const sequence = this.#sequence;
      const source = { sourceAddress: NOTHING, sourcePort: 0, sourceName: '' };
      const ping = encodeMessage({ kind: 'ping', sequence, name: member.name, ...source });
      await say(socket, ping, { ...this.#wire, compress: false }, true);
      const said = await hear(socket, withoutLabel(this.#wire));
      return (
        said.kind === 'message' && said.message.kind === 'ack' && said.message.sequence === sequence
      );
    } finally {
      socket.destroy();
    }
  }

  /** As the one who dials: says all, hears all, then takes it. */
  async #exchange(withWhom: Endpoint, join: boolean): Promise<void> {
    const socket = await this.#dial(withWhom);
    try {
      await say(socket, await this.#localState(join), this.#wire, true);
      const said = await hear(socket, withoutLabel(this.#wire));
      if (said.kind === 'refused')
        throw unavailable('REFUSED', `${endpointText(withWhom)} refuses: ${said.why}`);
      if (said.kind !== 'state')
        throw unavailable('NOT_UNDERSTOOD', `${endpointText(withWhom)} answered with a message`);
      await this.#take(said.state, withWhom);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#drop(error, withWhom);
      const text = `${endpointText(withWhom)} was not understood: ${error.message}`;
      throw unavailable('NOT_UNDERSTOOD', text, { cause: error });
    } finally {
      socket.destroy();
    }
  }

  /** As the one who was dialled. Never rejects. */
  async #answer(socket: Socket): Promise<void> {
    this.#sockets?.limit(socket, this.#profile.tcpTimeoutMs);
    const from = peerOf(socket);
    try {
      const said = await hear(socket, this.#wire);
      if (said.kind === 'message') await this.#onStreamMessage(said.message, socket);
      if (said.kind === 'state') {
        // First all is said, as Go does: so who is refused here hears it by its own check.
        await say(socket, await this.#localState(false), this.#wire, false);
        await this.#take(said.state, from);
      }
    } catch (error) {
      if (error instanceof WireError) {
        this.#drop(error, from);
        const refusal = encodeRefusal(error.message);
        await say(socket, refusal, this.#wire, false).catch(() => undefined);
      } else
        this.#log.debug({ from: endpointText(from), problem: messageOf(error) }, 'not answered');
    } finally {
      socket.end();
      socket.destroySoon();
    }
  }

  async #onStreamMessage(message: Message, socket: Socket): Promise<void> {
    const { name, delegate } = this.#options;
    if (message.kind === 'user') delegate?.onUserMessage?.(message.payload);
    if (message.kind !== 'ping' || (message.name !== '' && message.name !== name)) return;
    const ack = encodeMessage({ kind: 'ack', sequence: message.sequence, payload: NOTHING });
    await say(socket, ack, { ...this.#wire, compress: false }, false);
  }

  #localState(join: boolean): Promise<Uint8Array> {
    const userState = this.#options.delegate?.localState?.(join) ?? NOTHING;
    return stateOf(this.#member, userState, join);
  }

  /** Takes all that the other side holds, or nothing where it can't be one cluster with this one. */
  async #take({ members, userState, join }: RemoteState, from: Endpoint): Promise<void> {
    const problem = this.#member.incompatibility(members);
    if (problem !== undefined) {
      this.counts.dropped.set('refused', (this.counts.dropped.get('refused') ?? 0) + 1);
      this.#log.warn({ from: endpointText(from), problem }, 'not one cluster');
      throw unavailable('INCOMPATIBLE', `${endpointText(from)} can not be joined: ${problem}`);
    }
    const slices = new Slices();
    for (const member of members) {
      this.#member.merge(member);
      await slices.breathe();
    }
    if (userState.length > 0) this.#options.delegate?.mergeState?.(userState, join);
    this.counts.exchanges++;
  }

  #checkRoom(bytes: Uint8Array): void {
    const room = this.#profile.packetBytes - overheadBytes(this.#wire) - 3;
    if (bytes.length > room)
      throw invalidArgument(
        'message',
        `has ${String(bytes.length)} bytes, a packet has room for ${String(room)}`,
      );
  }
}

/** Who was dialled says no label. */
function withoutLabel(options: WireOptions): WireOptions {
  return { ...options, expectsLabel: false };
}

function peerOf({ remoteAddress, remotePort }: Socket): Endpoint {
  if (remoteAddress === undefined) return { address: NOTHING, port: 0 };
  return { address: addressBytes(remoteAddress), port: remotePort ?? 0 };
}

function checkMeta(meta: Uint8Array): void {
  if (meta.length > MAX_META_BYTES)
    throw invalidArgument(
      'meta',
      `has ${String(meta.length)} bytes, at most ${String(MAX_META_BYTES)}`,
    );
}

function check({ name, meta = NOTHING, label = '' }: MemberlistOptions): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > MAX_NAME_BYTES)
    throw invalidArgument(
      'name',
      `has ${String(bytes)} bytes, expected 1 to ${String(MAX_NAME_BYTES)}`,
    );
  checkMeta(meta);
  if (Buffer.byteLength(label) > MAX_LABEL_BYTES)
    throw invalidArgument('label', `is longer than ${String(MAX_LABEL_BYTES)} bytes`);
}
