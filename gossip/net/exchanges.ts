import type { Socket } from 'node:net';

import { FractoryError, messageOf, unavailable } from '../../runtime/errors.js';
import { Understood } from '../core/compatibility.js';
import type { Delegate, GossipMember } from '../core/gossip-member.js';
import type { Endpoint } from '../core/member.js';
import type { DropReason } from '../counts.js';
import { Budget } from '../wire/budget.js';
import { encodeMessage } from '../wire/messages.js';
import type { Message } from '../wire/messages.js';
import type { WireOptions } from '../wire/packet.js';
import type { RemoteMember } from '../wire/push-pull.js';
import { encodeRefusal, encodeUserStream } from '../wire/stream.js';
import { WireError } from '../wire/wire-error.js';
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
  /** Something that was said over a connection counts for nothing: a problem of a WireError, `refused` (no cluster with us), `unfinished` (it broke, or took too long). */
  dropped(why: DropReason, from: Endpoint, problem: string): void;
  exchanged(): void;
}

/** What all connections together may hold while they are read, bytes: without it, 128 of them could each bring 40 MiB. */
const MAX_HELD_BYTES = 256 * 1024 ** 2;
const INCOMPATIBLE = 'INCOMPATIBLE';
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

  /** As the one who dials: says all, hears all, then takes it. UNAVAILABLE where it can't. */
  async exchange(withWhom: Endpoint, join: boolean): Promise<void> {
    const socket = await this.#parts.dial(withWhom, this.#parts.timeoutMs);
    try {
      await say(socket, await this.#localState(join), this.#parts.wire, true, this.#slices);
      const said = await this.#hear(socket, withWhom, true);
      if (said.kind === 'refused')
        throw unavailable('REFUSED', `${endpointText(withWhom)} refuses: ${said.why}`);
      if (said.kind !== 'state')
        throw unavailable('NOT_UNDERSTOOD', `${endpointText(withWhom)} answered with a message`);
      await this.#take({ ...said.state, join }, withWhom);
    } catch (error) {
      if (error instanceof FractoryError && error.reason === INCOMPATIBLE)
        this.#parts.dropped('refused', withWhom, error.message);
      if (!(error instanceof WireError)) throw error;
      this.#parts.dropped(error.problem, withWhom, error.message);
      const text = `${endpointText(withWhom)} was not understood: ${error.message}`;
      throw unavailable('NOT_UNDERSTOOD', text, { cause: error });
    } finally {
      socket.destroy();
    }
  }

  /** A message of the program on top. UNAVAILABLE where it is not reached. */
  async send(to: Endpoint, bytes: Uint8Array): Promise<void> {
    const socket = await this.#parts.dial(to, this.#parts.timeoutMs);
    await say(socket, encodeUserStream(bytes), this.#parts.wire, true, this.#slices);
    socket.end();
    // Nothing is said back: read on, or its end is never seen.
    socket.resume();
  }

  /** Whether this member answers in time. */
  async ping(member: Endpoint & { readonly name: string }, timeoutMs: number): Promise<boolean> {
    const socket = await this.#parts.dial(member, Math.max(1, timeoutMs));
    try {
      this.#sequence = (this.#sequence + 1) >>> 0;
      const sequence = this.#sequence;
      const source = { sourceAddress: NOTHING, sourcePort: 0, sourceName: '' };
      const ping = encodeMessage({ kind: 'ping', sequence, name: member.name, ...source });
      await say(socket, ping, { ...this.#parts.wire, compress: false }, true, this.#slices);
      const said = await this.#hear(socket, member, true);
      return (
        said.kind === 'message' && said.message.kind === 'ack' && said.message.sequence === sequence
      );
    } finally {
      socket.destroy();
    }
  }

  /** As the one who was dialled. Never rejects. */
  async answer(socket: Socket): Promise<void> {
    this.#parts.limit(socket, this.#parts.timeoutMs);
    const from = peerOf(socket);
    try {
      const said = await this.#hear(socket, from, false);
      if (said.kind === 'message') await this.#onMessage(said.message, socket, from);
      if (said.kind === 'state') {
        // First all is said, as Go does: so who is refused here hears it by its own check.
        const state = await this.#localState(said.state.join);
        await say(socket, state, this.#parts.wire, false, this.#slices);
        await this.#take(said.state, from);
      }
    } catch (error) {
      await this.#refuse(socket, from, error);
    } finally {
      socket.end();
      socket.destroySoon();
    }
  }

  async #refuse(socket: Socket, from: Endpoint, error: unknown): Promise<void> {
    const { wire } = this.#parts;
    if (error instanceof WireError) {
      this.#parts.dropped(error.problem, from, error.message);
      // Who has hung up hears nothing.
      await say(socket, encodeRefusal(error.message), wire, false, this.#slices).catch(
        () => undefined,
      );
    } else if (error instanceof FractoryError && error.reason === INCOMPATIBLE)
      this.#parts.dropped('refused', from, error.message);
    else this.#parts.dropped('unfinished', from, messageOf(error));
  }

  #hear(socket: Socket, from: Endpoint, dialled: boolean): Promise<Said> {
    const { wire } = this.#parts;
    return hear(socket, {
      // Who was dialled says no label.
      wire: { ...wire, expectsLabel: !dialled },
      budget: this.#budget,
      slices: this.#slices,
      onProblem: (problem) => {
        this.#parts.dropped(problem.problem, from, problem.message);
      },
    });
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

  async #localState(join: boolean): Promise<Uint8Array> {
    const { delegate, member } = this.#parts;
    const own = (await delegate.localState?.(join)) ?? NOTHING;
    return stateOf(member, own, join, this.#slices);
  }

  /** Takes all that the other side holds, or nothing where it can't be one cluster with this one. */
  async #take({ members, userState, join }: RemoteState, from: Endpoint): Promise<void> {
    const { member, delegate } = this.#parts;
    const problem = await this.#incompatibility(members);
    if (problem !== undefined)
      throw unavailable(INCOMPATIBLE, `${endpointText(from)} can not be joined: ${problem}`);
    for (const remote of members) {
      member.merge(remote);
      await this.#slices.breathe();
    }
    if (userState.length > 0) await delegate.mergeState?.(userState, join);
    this.#parts.exchanged();
  }

  /** Why the other side and this one can't be one cluster; undefined = they can. */
  async #incompatibility(remote: readonly RemoteMember[]): Promise<string | undefined> {
    const understood = new Understood();
    const all = [...this.#parts.member.table, ...remote];
    for (const member of all) {
      understood.by(member);
      await this.#slices.breathe();
    }
    for (const member of all) {
      const problem = understood.problemOf(member);
      if (problem !== undefined) return problem;
      await this.#slices.breathe();
    }
    return undefined;
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): Endpoint {
  if (remoteAddress === undefined) return { address: NOTHING, port: 0 };
  return { address: addressBytes(remoteAddress), port: remotePort ?? 0 };
}
