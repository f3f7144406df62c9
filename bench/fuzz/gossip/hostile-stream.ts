import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { pack } from '../../../gossip/wire/lzw-encoder.js';
import { encodeMessage } from '../../../gossip/wire/messages.js';
import type { WireOptions } from '../../../gossip/wire/packet.js';
import { encodeHeader, encodeMember } from '../../../gossip/wire/push-pull.js';
import { RawWriter } from '../../../gossip/wire/raw-writer.js';
import { encodeUserStream, sealStream } from '../../../gossip/wire/stream.js';
import { sleep } from '../../../runtime/deadline.js';
import { packedFrame, raw } from './hostile-packet.js';
import type { HostilePackets } from './hostile-packet.js';
import type { HostileSerf } from './hostile-serf.js';

interface StreamAttack {
  readonly bytes: Uint8Array;
  /** How large the pieces are in which it is written, and what passes between them. */
  readonly pieceBytes?: number;
  readonly pauseMs?: number;
  /** What is done in the end. Default: it waits to be hung up on. */
  readonly end?: 'reset' | 'half' | 'deaf';
}

const BOMB_BYTES = 30 * 1024 ** 2;

/** What can be said over a connection by somebody who means ill. `wire`: of the cluster, as far as the attacker knows it. */
export class HostileStreams {
  readonly #packets: HostilePackets;
  readonly #wire: WireOptions;
  readonly #serf: HostileSerf | undefined;
  readonly #bomb = packedFrame(pack(new Uint8Array(BOMB_BYTES)));
  readonly #attacks: readonly (readonly [string, () => StreamAttack])[];

  /** `serf`: what agents say on top. */
  constructor(packets: HostilePackets, wire: WireOptions, serf?: HostileSerf) {
    this.#packets = packets;
    this.#wire = wire;
    this.#serf = serf;
    const below = (limit: number): number => packets.below(limit);
    const flags = (end: StreamAttack['end'] & string) => ({ end });
    this.#attacks = [
      ['noise', () => ({ bytes: packets.noise(below(5000)) })],
      ['silence', () => ({ bytes: new Uint8Array() })],
      ['reset', () => ({ bytes: this.#exchange(5), ...flags('reset') })],
      ['half open', () => ({ bytes: this.#exchange(5).subarray(0, 20), ...flags('half') })],
      ['deaf', () => ({ bytes: this.#sealed(this.#exchange(1)), ...flags('deaf') })],
      [
        'mutated',
        () => ({
          bytes: packets.mutated(this.#sealed(this.#exchange(20))),
          pieceBytes: 1 + below(200),
        }),
      ],
      ['trickle', () => ({ bytes: this.#sealed(this.#exchange(20)), pieceBytes: 1, pauseMs: 5 })],
      ['exchange', () => ({ bytes: this.#sealed(this.#exchange(1 + below(50))) })],
      ['bad members', () => ({ bytes: this.#sealed(this.#badMembers()) })],
      [
        'a million members',
        () => ({ bytes: this.#sealed(this.#claim(1024 ** 2, 0)), pieceBytes: 7 }),
      ],
      ['no end of members', () => ({ bytes: this.#claim(99_999, 0), pieceBytes: 100 })],
      ['bomb', () => ({ bytes: this.#bomb })],
      ['sealed bomb', () => ({ bytes: this.#sealed(this.#bomb) })],
      ['huge frame', () => ({ bytes: Uint8Array.of(10, 1, 0, 0, 0, ...packets.noise(3000)) })],
      [
        'huge packed',
        () => ({
          bytes: Uint8Array.of(
            9,
            0x82,
            ...raw(Buffer.from('Algo')),
            0,
            ...raw(Buffer.from('Buf')),
            0xdb,
            1,
            0x3f,
            0,
            0,
            ...packets.noise(3000),
          ),
        }),
      ],
      [
        'huge state',
        () => ({
          bytes: Buffer.concat([this.#claim(0, 20 * 1024 ** 2), new Uint8Array(1024 ** 2)]),
          ...flags('reset'),
        }),
      ],
      [
        'user message',
        () => ({ bytes: this.#sealed(encodeUserStream(packets.noise(below(3000)))) }),
      ],
      [
        'user message that lies',
        () => ({
          bytes: Uint8Array.of(
            8,
            0x81,
            ...raw(Buffer.from('UserMsgLen')),
            0xce,
            1,
            0x3f,
            0,
            0,
            1,
            2,
            3,
          ),
        }),
      ],
      [
        'long list',
        () => ({
          bytes: Uint8Array.of(
            0,
            0x81,
            ...raw(Buffer.from('x')),
            0xdd,
            0,
            0x1f,
            0,
            0,
            ...new Uint8Array(60_000),
          ),
        }),
      ],
      ['packet', () => ({ bytes: packets.next().bytes })],
      ['sealed packet', () => ({ bytes: this.#sealed(packets.next().bytes) })],
      [
        'ack',
        () => ({
          bytes: this.#sealed(
            encodeMessage({ kind: 'ack', sequence: below(2 ** 32), payload: packets.noise(9) }),
          ),
        }),
      ],
      // A third of all that is said.
      ...(serf ? [1, 2, 3, 4].flatMap(() => this.#ofSerf(serf)) : []),
    ];
  }

  /** One connection from its beginning to its end; its kind. */
  async attack(port: number, forMs: number): Promise<string> {
    const [kind, make] = this.#packets.pick(this.#attacks);
    const { bytes, pieceBytes = bytes.length, pauseMs = 0, end } = make();
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: end === 'half' });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    if (end === 'deaf') socket.pause();
    else socket.resume();
    const over = Promise.race([closed, sleep(forMs)]);
    await Promise.race([over, written(socket, bytes, Math.max(1, pieceBytes), pauseMs)]);
    if (end === 'reset') socket.resetAndDestroy();
    if (end === 'half') socket.end();
    await over;
    socket.destroy();
    return kind;
  }

  /** What is said to somebody who exchanges all that it knows with a made-up member. */
  answer(): Uint8Array {
    const { bytes } = this.#packets.pick<() => StreamAttack>([
      () => ({ bytes: this.#sealed(this.#exchange(5), false) }),
      () => ({ bytes: this.#packets.mutated(this.#sealed(this.#exchange(5), false)) }),
      () => ({ bytes: this.#packets.noise(500) }),
    ])();
    return bytes;
  }

  #ofSerf(serf: HostileSerf): (readonly [string, () => StreamAttack])[] {
    const said = (bytes: Uint8Array) => ({ bytes: this.#sealed(bytes) });
    return [
      ['message of Serf', () => said(encodeUserStream(serf.next().bytes))],
      ['state of Serf', () => said(this.#exchange(0))],
      ['states of Serf', () => said(this.#exchange(this.#packets.below(10)))],
    ];
  }

  #claim(members: number, userStateBytes: number): Uint8Array {
    return Buffer.concat([Uint8Array.of(6), encodeHeader({ members, userStateBytes, join: true })]);
  }

  #exchange(members: number): Uint8Array {
    const userState = this.#serf?.state() ?? new Uint8Array(10);
    const writer = new RawWriter().bytes(this.#claim(members, userState.length));
    for (let at = 0; at < members; at++) {
      const [lie] = this.#packets.lies();
      const known = lie?.kind === 'alive' ? lie : undefined;
      const state = this.#packets.pick(['alive', 'suspect', 'dead', 'left'] as const);
      const home = { address: Uint8Array.of(127, 0, 0, 1), port: 9 };
      const versions = this.#packets.versions();
      const other = {
        name: this.#packets.ghost(),
        incarnation: 1,
        meta: new Uint8Array(),
        versions,
      };
      writer.bytes(encodeMember({ ...home, ...other, ...known, versions, state }));
    }
    return writer.bytes(userState).finish();
  }

  /** Members as no other peer sends them, in an exchange that is well made otherwise. */
  #badMembers(): Uint8Array {
    const writer = new RawWriter().bytes(this.#claim(20, 0));
    for (let at = 0; at < 20; at++) {
      const alive = this.#packets.alive({ Vsn: raw(this.#packets.noise(this.#packets.below(9))) });
      // The keys of a packet are others: this names nobody, or is a map of something else.
      writer.bytes(alive.subarray(1));
    }
    return writer.finish();
  }

  /** `dials`: as by the one who opened the connection. */
  #sealed(plain: Uint8Array, dials = true): Uint8Array {
    const options = { ...this.#wire, compress: this.#packets.below(2) === 0 };
    const steps = sealStream(plain, options, dials);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }
}

async function written(
  socket: Socket,
  bytes: Uint8Array,
  pieceBytes: number,
  pauseMs: number,
): Promise<void> {
  for (let at = 0; at < bytes.length && !socket.destroyed; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    await new Promise((resolve) => socket.write(piece, resolve));
    if (pauseMs > 0) await sleep(pauseMs);
  }
}
