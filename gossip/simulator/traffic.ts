import { sizeOf } from '../core/encoded.js';
import type { MemberView } from '../core/member.js';
import type { Message } from '../wire/messages.js';
import { pack } from '../wire/lzw-encoder.js';
import { COMPOUND_BYTES, COMPOUND_PART_BYTES } from '../wire/packet.js';
import { encodeMember } from '../wire/push-pull.js';
import { spread } from '../wire/spread.js';

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

  /** `bytes`: of its messages, each with what stands before it in a packet of several. */
  packet(messages: readonly Message[], bytes: number): void {
    const [first] = messages;
    if (!first) return;
    const sent = isProbing(first) ? this.#probes : this.#rumours;
    const isAlone = messages.length === 1;
    const ownBytes = isAlone ? bytes - COMPOUND_PART_BYTES : sizeOf(first);
    sent.packets++;
    sent.bytes += UDP_HEADER_BYTES + ownBytes;
    if (!isAlone) this.#rumours.bytes += COMPOUND_BYTES + bytes - ownBytes;
  }

  tcpPing(): void {
    this.#tcpPings.packets++;
    this.#tcpPings.bytes += TCP_PING_BYTES;
  }

  /** All that one holds, and of what the other holds as much as it answers. */
  exchange(members: number, answered: number): void {
    this.#exchanges.packets++;
    this.#exchanges.bytes += CONNECTION_SEGMENTS * TCP_HEADER_BYTES;
    for (const count of [members, answered]) {
      const bytes = count * this.#memberBytes;
      // One acknowledgement for two segments.
      this.#exchanges.bytes += bytes + 1.5 * Math.ceil(bytes / SEGMENT_BYTES) * TCP_HEADER_BYTES;
    }
  }
}

/** Bytes of all of these in an exchange, with what the program on top says, raw and as they are sent. */
export function stateBytes(
  views: readonly MemberView[],
  userState: Uint8Array = new Uint8Array(),
): { raw: number; packed: number } {
  const members = [...spread(views)].map((view) => encodeMember(view));
  const state = Buffer.concat([...members, userState]);
  return { raw: state.length, packed: pack(state).length };
}

function isProbing({ kind }: Message): boolean {
  return kind === 'ping' || kind === 'ack' || kind === 'indirectPing' || kind === 'nack';
}
