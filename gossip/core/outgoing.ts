import type { Message } from '../wire/messages.js';
import { COMPOUND_BYTES, COMPOUND_PART_BYTES, MAX_PARTS } from '../wire/packet.js';
import { sizeOf } from './encoded.js';
import { retransmits } from './formulas.js';
import type { Transport } from './gossip-member.js';
import type { Endpoint, MemberTable } from './member.js';
import type { Profile } from './profile.js';
import { Rumours } from './rumours.js';
import type { Taken } from './rumours.js';

/** Packets that a member sends, with as many rumours as there is room for beside what they are sent for. */
export class Outgoing {
  readonly #transport: Transport;
  readonly #profile: Profile;
  readonly #table: MemberTable;
  /** Of a packet, for messages and what stands before each. */
  readonly #room: number;
  readonly #rumours: Rumours<Message>;

  constructor(transport: Transport, profile: Profile, table: MemberTable) {
    this.#transport = transport;
    this.#profile = profile;
    this.#table = table;
    this.#room = profile.packetBytes - transport.overheadBytes - COMPOUND_BYTES;
    this.#rumours = new Rumours({ bytes: this.roomBytes });
  }

  /** Largest message, with its type, that a packet has room for, bytes. */
  get roomBytes(): number {
    return this.#room - COMPOUND_PART_BYTES;
  }

  /** Rumours that are still to be passed on. */
  get rumours(): number {
    return this.#rumours.size;
  }

  /** Tells everybody, packet by packet. `about`: a newer rumour about the same member takes its place; `finished`: it was passed on often enough. */
  spread(message: Message, about: string | undefined, finished?: () => void): void {
    const rumour = { message, bytes: sizeOf(message), about };
    this.#rumours.add(finished ? { ...rumour, finished } : rumour);
  }

  /** Sends messages; rumours ride along. */
  send(to: Endpoint, messages: readonly Message[]): void {
    let own = 0;
    for (const message of messages) own += sizeOf(message) + COMPOUND_PART_BYTES;
    if (this.#rumours.size === 0) {
      this.#transport.send(to, messages, own);
      return;
    }
    const rumours = this.#take(own, MAX_PARTS - messages.length);
    this.#transport.send(to, messages.concat(rumours.messages), own + rumours.bytes);
  }

  /** Sends a message by itself. */
  sendAlone(to: Endpoint, message: Message): void {
    this.#transport.send(to, [message], sizeOf(message) + COMPOUND_PART_BYTES);
  }

  /** Sends rumours only; false where there are none. */
  gossip(to: Endpoint): boolean {
    if (this.#rumours.size === 0) return false;
    const { messages, bytes } = this.#take(0, MAX_PARTS);
    if (messages.length === 0) return false;
    this.#transport.send(to, messages, bytes);
    return true;
  }

  /** No rumour is passed on any more; all have finished. */
  clear(): void {
    this.#rumours.clear();
  }

  #take(usedBytes: number, maxParts: number): Taken<Message> {
    const limit = retransmits(this.#profile, this.#table.size);
    return this.#rumours.take(this.#room - usedBytes, COMPOUND_PART_BYTES, maxParts, limit);
  }
}
