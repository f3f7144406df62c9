import { sizeOf } from '../core/encoded.js';
import type { MemberView } from '../core/member.js';
import type { Message } from '../wire/messages.js';
import { pack } from '../wire/lzw.js';
import { COMPOUND_BYTES, COMPOUND_PART_BYTES } from '../wire/packet.js';
import { encodeMember } from '../wire/push-pull.js';

/** What bytes are for. What rides on a ping or its answer beside it counts as a rumour. */
export const trafficKinds = ['probes', 'rumours', 'push/pull', 'tcp ping'] as const;
export type TrafficKind = (typeof trafficKinds)[number];

/** What was sent so far by all members, with headers. */
export interface Sent {
  packets: number;
  bytes: number;
}

/** Headers of IP and UDP. */
const UDP_HEADER_BYTES = 28;
/** Of IP and TCP with time stamps, and what fits after them into a frame of Ethernet. */
const TCP_HEADER_BYTES = 52;
const SEGMENT_BYTES = 1448;
/** Handshake and end, both ways. */
const CONNECTION_SEGMENTS = 7;
const TCP_PING_BYTES = (CONNECTION_SEGMENTS + 4) * TCP_HEADER_BYTES + 60;
const PROBES: ReadonlySet<string> = new Set(['ping', 'ack', 'indirectPing', 'nack']);

/** Counts what is sent. */
export class Traffic {
  readonly #probes = { packets: 0, bytes: 0 };
  readonly #rumours = { packets: 0, bytes: 0 };
  readonly #exchanges = { packets: 0, bytes: 0 };
  readonly #tcpPings = { packets: 0, bytes: 0 };
  /** Of a member in an exchange, as it is compressed among all. */
  readonly #memberBytes: number;

  constructor(memberBytes: number) {
    this.#memberBytes = memberBytes;
  }

  get sent(): Readonly<Record<TrafficKind, Readonly<Sent>>> {
    return {
      probes: { ...this.#probes },
      rumours: { ...this.#rumours },
      'push/pull': { ...this.#exchanges },
      'tcp ping': { ...this.#tcpPings },
    };
  }

  packet(messages: readonly Message[]): void {
    const [first] = messages;
    const kind = first && PROBES.has(first.kind) ? this.#probes : this.#rumours;
    kind.packets++;
    kind.bytes += UDP_HEADER_BYTES + (first ? sizeOf(first) : 0);
    if (messages.length < 2) return;
    let rumours = COMPOUND_BYTES + COMPOUND_PART_BYTES * messages.length;
    for (let at = 1; at < messages.length; at++) rumours += sizeOf(messages[at] as Message);
    this.#rumours.bytes += rumours;
  }

  tcpPing(): void {
    this.#tcpPings.packets++;
    this.#tcpPings.bytes += TCP_PING_BYTES;
  }

  /** All that both hold, both ways. */
  exchange(members: number, otherMembers: number): void {
    this.#exchanges.packets++;
    this.#exchanges.bytes += CONNECTION_SEGMENTS * TCP_HEADER_BYTES;
    for (const count of [members, otherMembers]) {
      const bytes = count * this.#memberBytes;
      // One acknowledgement for two segments.
      this.#exchanges.bytes += bytes + 1.5 * Math.ceil(bytes / SEGMENT_BYTES) * TCP_HEADER_BYTES;
    }
  }
}

/** Bytes of a member in an exchange of all of these, in this order, raw and as they are sent. */
export function memberBytes(views: readonly MemberView[]): { raw: number; packed: number } {
  const state = Buffer.concat(views.map((view) => encodeMember(view)));
  return { raw: state.length / views.length, packed: pack(state).length / views.length };
}
