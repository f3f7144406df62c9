import type { Socket } from 'node:net';

import { FractoryError, unavailable } from '../../runtime/errors.js';
import type { Delegate, GossipMember } from '../core/gossip-member.js';
import type { Endpoint } from '../core/member.js';
import type { DropReason } from '../counts.js';
import { Budget } from '../wire/budget.js';
import { encodeMessage } from '../wire/messages.js';
import type { Message } from '../wire/messages.js';
import type { WireOptions } from '../wire/packet.js';
import { encodeRefusal, encodeUserStream } from '../wire/stream.js';
import { malformed, WireError } from '../wire/wire-error.js';
import { addressBytes, endpointText } from './address.js';
import { hear, say, stateOf } from './conversation.js';
import type { RemoteState, Said } from './conversation.js';
import { Slices } from './sliced.js';

export interface ExchangeParts {
  readonly member: GossipMember;
  readonly wire: WireOptions;
  readonly delegate: Delegate;
  /** Of all that is done on one connection, ms. */
  readonly timeoutMs: number;
  dial(to: Endpoint, timeoutMs: number): Promise<Socket>;
  /** Ends the connection after so long, whatever happens on it. */
  limit(socket: Socket, timeoutMs: number): void;
  /** Something that was said over a connection counts for nothing: a problem of a WireError, `refused` (no cluster with us), `unfinished` (nobody is there, it broke, or took too long). */
  dropped(why: DropReason, from: Endpoint, problem: string): void;
  /** A bug of ours kept something from being said or taken. */
  failed(error: unknown): void;
  exchanged(): void;
}

/** What all connections together may hold while they are read, bytes: without it, 128 of them could each bring 40 MiB. */
const MAX_HELD_BYTES = 256 * 1024 ** 2;
const INCOMPATIBLE = 'INCOMPATIBLE';
const REFUSED = 'REFUSED';
const NOTHING = new Uint8Array();

/** What members say over TCP: all that they know, messages, and pings that found no other way. */
export class Exchanges {
  readonly #parts: ExchangeParts;
  readonly #budget = new Budget(MAX_HELD_BYTES);
  /** Of all exchanges together: many at once hold the event loop no longer than one. */
  readonly #slices = new Slices();
  #sequence: number;

  /** `firstSequence`: number of the first ping. */
  constructor(parts: ExchangeParts, firstSequence: number) {
    this.#parts = parts;
    this.#sequence = firstSequence;
  }

  /** What connections hold that are being read, bytes. */
  get heldBytes(): number {
    return this.#budget.usedBytes;
  }

  /** As the one who dials: says all, hears all, then takes it. UNAVAILABLE, or DEADLINE_EXCEEDED, where it can't. */
  async exchange(withWhom: Endpoint, join: boolean): Promise<void> {
    try {
      await this.#dialled(withWhom, this.#parts.timeoutMs, async (socket) => {
        await say(socket, await this.#localState(join), this.#parts.wire, true, this.#slices);
        await this.#hear(socket, withWhom, true, (said) => {
          if (said.kind === 'refused')
            throw unavailable(REFUSED, `${endpointText(withWhom)} refuses: ${said.why}`);
          if (said.kind !== 'state') throw malformed('a message is no answer to an exchange');
          return this.#take({ ...said.state, join }, withWhom);
        });
      });
    } catch (error) {
      // Who joins hears that nobody is there.
      this.#count(error, withWhom, !join);
      if (!(error instanceof WireError)) throw error;
      const text = `${endpointText(withWhom)} was not understood: ${error.message}`;
      throw unavailable('NOT_UNDERSTOOD', text, { cause: error });
    }
  }

  /** A message of the program on top, 20 MiB at most. UNAVAILABLE, or DEADLINE_EXCEEDED, where it is not reached. */
  async send(to: Endpoint, bytes: Uint8Array): Promise<void> {
    const socket = await this.#parts.dial(to, this.#parts.timeoutMs);
    await say(socket, encodeUserStream(bytes), this.#parts.wire, true, this.#slices);
    socket.end();
    // Nothing is said back: read on, or its end is never seen.
    socket.resume();
  }

  /** Whether this member answers in time. Rejects where it is not reached. */
  async ping(member: Endpoint & { readonly name: string }, timeoutMs: number): Promise<boolean> {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    const source = { sourceAddress: NOTHING, sourcePort: 0, sourceName: '' };
    const ping = encodeMessage({ kind: 'ping', sequence, name: member.name, ...source });
    const isAnswer = (said: Said): boolean =>
      said.kind === 'message' && said.message.kind === 'ack' && said.message.sequence === sequence;
    try {
      return await this.#dialled(member, Math.max(1, timeoutMs), async (socket) => {
        await say(socket, ping, { ...this.#parts.wire, compress: false }, true, this.#slices);
        return this.#hear(socket, member, true, isAnswer);
      });
    } catch (error) {
      // Who asks hears that nobody is there.
      this.#count(error, member, false);
      throw error;
    }
  }

  async #dialled<T>(
    to: Endpoint,
    timeoutMs: number,
    work: (socket: Socket) => Promise<T>,
  ): Promise<T> {
    const socket = await this.#parts.dial(to, timeoutMs);
    try {
      return await work(socket);
    } finally {
      socket.destroy();
    }
  }

  /** Why something came to nothing. `unfinished`: also where the network is to blame. */
  #count(error: unknown, from: Endpoint, unfinished: boolean): void {
    const parts = this.#parts;
    if (error instanceof WireError) parts.dropped(error.problem, from, error.message);
    else if (!(error instanceof FractoryError)) parts.failed(error);
    else if (error.reason === INCOMPATIBLE || error.reason === REFUSED)
      parts.dropped('refused', from, error.message);
    else if (unfinished) parts.dropped('unfinished', from, error.message);
  }

  /** As the one who was dialled. Never rejects. */
  async answer(socket: Socket): Promise<void> {
    this.#parts.limit(socket, this.#parts.timeoutMs);
    const from = peerOf(socket);
    try {
      await this.#hear(socket, from, false, (said) => this.#onSaid(said, socket, from));
    } catch (error) {
      this.#count(error, from, true);
      if (error instanceof WireError) await this.#refuse(socket, from, error.message);
    } finally {
      socket.end();
      socket.destroySoon();
    }
  }

  async #onSaid(said: Said, socket: Socket, from: Endpoint): Promise<void> {
    if (said.kind === 'message') await this.#onMessage(said.message, socket, from);
    if (said.kind === 'state') {
      // First all is said, as Go does: so who is refused here hears it by its own check.
      const { join } = said.state;
      // Who joins is told all: programs on top of Go's may look at all of it before they let it merge.
      const state = await this.#localState(join, join ? undefined : said.state);
      await say(socket, state, this.#parts.wire, false, this.#slices);
      await this.#take(said.state, from);
    }
  }

  async #refuse(socket: Socket, from: Endpoint, why: string): Promise<void> {
    try {
      await say(socket, encodeRefusal(why), this.#parts.wire, false, this.#slices);
    } catch (error) {
      // Who has hung up hears nothing.
      this.#count(error, from, false);
    }
  }

  #hear<T>(
    socket: Socket,
    from: Endpoint,
    dialled: boolean,
    take: (said: Said) => T | Promise<T>,
  ): Promise<T> {
    const { wire } = this.#parts;
    const options = {
      // Who was dialled says no label.
      wire: { ...wire, expectsLabel: !dialled },
      budget: this.#budget,
      slices: this.#slices,
      onProblem: (problem: WireError) => {
        this.#parts.dropped(problem.problem, from, problem.message);
      },
    };
    return hear(socket, options, take);
  }

  async #onMessage(message: Message, socket: Socket, from: Endpoint): Promise<void> {
    const { member, delegate, wire } = this.#parts;
    if (message.kind === 'user') delegate.onUserMessage?.(message.payload);
    else if (message.kind !== 'ping') this.#parts.dropped('unexpected_answer', from, message.kind);
    else if (message.name !== '' && message.name !== member.name)
      this.#parts.dropped('other_name', from, message.name);
    else {
      const ack = encodeMessage({ kind: 'ack', sequence: message.sequence, payload: NOTHING });
      await say(socket, ack, { ...wire, compress: false }, false, this.#slices);
    }
  }

  /** `heard`: what the other side holds, of which it is not told again. */
  async #localState(join: boolean, heard?: RemoteState): Promise<Uint8Array> {
    const { delegate, member } = this.#parts;
    const userState = (await delegate.localState?.(join, heard?.userState)) ?? NOTHING;
    return stateOf(member, { userState, join, heard: heard?.members ?? [] }, this.#slices);
  }

  /** Takes all that the other side holds, or nothing where it can't be one cluster with this one. */
  async #take(state: RemoteState, from: Endpoint): Promise<void> {
    const { members, userState, join } = state;
    const { member, delegate } = this.#parts;
    const problem = await this.#incompatibility(state);
    if (problem !== undefined)
      throw unavailable(INCOMPATIBLE, `${endpointText(from)} can not be joined: ${problem}`);
    for (const remote of members) {
      member.merge(remote);
      if (this.#slices.isOver) await this.#slices.breathe();
    }
    if (userState.length > 0) await delegate.mergeState?.(userState, join);
    this.#parts.exchanged();
  }

  /** Why the other side and this one can't be one cluster; undefined = they can. */
  async #incompatibility({ understood }: RemoteState): Promise<string | undefined> {
    for (const view of [...this.#parts.member.table]) {
      understood.by(view);
      if (this.#slices.isOver) await this.#slices.breathe();
    }
    return understood.problem;
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): Endpoint {
  if (remoteAddress === undefined) return { address: NOTHING, port: 0 };
  return { address: addressBytes(remoteAddress), port: remotePort ?? 0 };
}
