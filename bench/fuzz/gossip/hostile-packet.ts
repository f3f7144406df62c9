import { pack } from '../../../gossip/wire/lzw-encoder.js';
import { encodeMessage } from '../../../gossip/wire/messages.js';
import type { Message } from '../../../gossip/wire/messages.js';
import { sealPacket } from '../../../gossip/wire/packet.js';
import { RawWriter } from '../../../gossip/wire/raw-writer.js';
import type { Endpoint } from '../../../gossip/core/member.js';
import type { Random } from '../../../runtime/seeded-random.js';

/** Bytes for somebody who expects messages of gossip. */
export interface HostilePacket {
  readonly kind: string;
  readonly bytes: Uint8Array;
}

export interface HostileOptions {
  readonly random: Random;
  /** Name of the one who is attacked: accusations of it are among what is sent. Nobody else who is real is accused. */
  readonly victim: string;
  /** Where made-up members live. */
  readonly home: Endpoint;
  /** Real packets of other makers, to be changed. */
  readonly seeds: readonly Uint8Array[];
  /** How many members are made up; default 300. */
  readonly ghosts?: number;
  /** Of the delegate that they claim to be: least, most, spoken. Default 0, 0, 0: with others than those who are attacked nothing is exchanged. */
  readonly delegateVersions?: readonly [number, number, number];
}

const PLAIN = {
  label: new Uint8Array(),
  keyring: undefined,
  verifyIncoming: false,
  compress: false,
};
const BOMB_BYTES = 4 * 1024 ** 2;

/** Everything but bytes that mean well: from noise to well-made lies. */
export class HostilePackets {
  readonly #options: HostileOptions;
  readonly #kinds: readonly (readonly [string, () => Uint8Array])[];
  readonly #bomb = packedFrame(pack(new Uint8Array(BOMB_BYTES)));

  constructor(options: HostileOptions) {
    this.#options = options;
    this.#kinds = [
      ['noise', () => this.noise(this.below(2000))],
      ['truncated', () => this.#truncated(this.#real())],
      ['mutated', () => this.mutated(this.#real())],
      ['mutated seed', () => this.mutated(this.#seed())],
      ['bomb', () => this.#bomb],
      ['bombs', () => compound(Array.from({ length: 2 + this.below(9) }, () => this.#bomb))],
      ['compound of compounds', () => this.#nested((inner) => compound([inner, inner]))],
      ['packed in packed', () => this.#nested((inner) => packedFrame(pack(inner)))],
      ['empty parts', () => compound(Array.from({ length: 255 }, () => new Uint8Array()))],
      ['compound that lies', () => Uint8Array.of(7, 255, 255, 255, ...this.noise(this.below(600)))],
      ['packed nothing', () => packedFrame(pack(new Uint8Array()))],
      ['checksum', () => Uint8Array.of(12, ...this.noise(4), ...this.#real())],
      [
        'versions',
        () => this.alive({ Vsn: raw(this.noise(this.pick([0, 1, 2, 3, 4, 5, 7, 200]))) }),
      ],
      ['address', () => this.alive({ Addr: raw(this.noise(this.pick([0, 3, 5, 15, 17, 300]))) })],
      [
        'port',
        () =>
          this.alive({
            Port: this.pick([[0], [0xce, 0, 1, 0, 0], [0xff], [0xca, 0x7f, 0xc0, 0, 0]]),
          }),
      ],
      ['name', () => this.alive({ Node: raw(this.noise(this.pick([0, 512, 513, 60_000]))) })],
      ['tags', () => this.alive({ Meta: raw(this.noise(this.pick([513, 5000]))) })],
      [
        'number',
        () =>
          this.alive({
            Incarnation: this.pick([
              [0xff],
              [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
              [0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
              [0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
            ]),
          }),
      ],
      ['type of a field', () => this.#wrongType()],
      [
        'huge header',
        () => Uint8Array.of(this.below(14), ...this.pick(HUGE), ...this.noise(this.below(50))),
      ],
      [
        'deep value',
        () =>
          Uint8Array.of(
            4,
            0x81,
            ...raw(Buffer.from('x')),
            ...Array.from({ length: 1 + this.below(1000) }, () => 0x91),
          ),
      ],
      [
        'many keys',
        () => Uint8Array.of(4, 0xde, 0xff, 0xff, ...Array.from({ length: 2000 }, () => 0xa0)),
      ],
      ['lies', () => sealPacket(this.lies().map(encodeMessage), PLAIN)],
    ];
  }

  next(): HostilePacket {
    const [kind, make] = this.pick(this.#kinds);
    return { kind, bytes: make() };
  }

  below(limit: number): number {
    return Math.floor(this.#options.random() * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  noise(bytes: number): Uint8Array {
    return Uint8Array.from({ length: bytes }, () => this.below(256));
  }

  mutated(bytes: Uint8Array): Uint8Array {
    const changed = Uint8Array.from(bytes);
    for (let change = this.below(8); change >= 0 && changed.length > 0; change--)
      changed[this.below(changed.length)] = this.below(256);
    return changed;
  }

  /** Well made, and not true. */
  lies(): Message[] {
    return Array.from({ length: 1 + this.below(5) }, () => this.#lie());
  }

  /** An alive message with some fields as given, encoded already. */
  alive(changed: Readonly<Record<string, readonly number[]>>): Uint8Array {
    const fields = {
      Addr: raw(this.#options.home.address),
      Incarnation: [1 + this.below(100)],
      Meta: [0xc0],
      Node: raw(Buffer.from(this.ghost())),
      Port: [0xcd, this.#options.home.port >> 8, this.#options.home.port & 255],
      Vsn: raw(this.versions()),
      ...changed,
    };
    const writer = new RawWriter().byte(4).map(6);
    for (const [key, value] of Object.entries(fields))
      writer.raw(key).bytes(Uint8Array.from(value));
    return writer.finish();
  }

  ghost(): string {
    return `ghost-${String(this.below(this.#options.ghosts ?? 300))}`;
  }

  /** Of a member of this cluster, but for what it speaks. */
  versions(spoken = 2): Uint8Array {
    return Uint8Array.of(1, 5, spoken, ...(this.#options.delegateVersions ?? [0, 0, 0]));
  }

  #lie(): Message {
    const { victim, home } = this.#options;
    const incarnation = this.pick([0, 1, 2, this.below(1000), 0xff_ff_ff_fe, 0xff_ff_ff_ff]);
    const sequence = this.below(2 ** 32);
    const source = { sourceAddress: home.address, sourcePort: home.port, sourceName: this.ghost() };
    const name = this.pick([victim, this.ghost(), this.ghost()]);
    // With one that speaks what nobody else does nothing is exchanged any more: of agents that would hide what is behind.
    const versions = this.versions(this.#options.delegateVersions ? 2 : this.pick([2, 9]));
    const meta = this.noise(this.below(513));
    return this.pick<() => Message>([
      () => ({ kind: 'ping', sequence, name: this.pick([victim, '', 'nobody']), ...source }),
      () => ({ kind: 'ping', sequence, name: victim, ...source, sourceAddress: this.noise(5) }),
      () => ({
        kind: 'indirectPing',
        sequence,
        name,
        nack: true,
        ...source,
        target: home.address,
        port: home.port,
      }),
      () => ({ kind: 'ack', sequence, payload: this.noise(this.below(300)) }),
      () => ({ kind: 'nack', sequence }),
      () => ({ kind: 'suspect', incarnation, name, from: this.pick([this.ghost(), victim]) }),
      () => ({ kind: 'dead', incarnation, name, from: this.pick([name, this.ghost()]) }),
      () => ({ kind: 'alive', incarnation, name, meta, versions, ...home }),
      () => ({
        kind: 'alive',
        incarnation,
        name,
        meta,
        versions,
        ...home,
        port: 1 + this.below(60_000),
      }),
      () => ({ kind: 'user', payload: this.noise(this.below(800)) }),
    ])();
  }

  #real(): Uint8Array {
    return sealPacket(this.lies().map(encodeMessage), { ...PLAIN, compress: this.below(2) === 0 });
  }

  #seed(): Uint8Array {
    const { seeds } = this.#options;
    return seeds.length > 0 ? this.pick(seeds) : this.#real();
  }

  #truncated(bytes: Uint8Array): Uint8Array {
    return bytes.subarray(0, this.below(bytes.length));
  }

  #nested(wrap: (inner: Uint8Array) => Uint8Array): Uint8Array {
    let packet = this.#real();
    for (let depth = this.below(10); depth >= 0 && packet.length < 20_000; depth--)
      packet = wrap(packet);
    return packet;
  }

  #wrongType(): Uint8Array {
    const key = this.pick(['Addr', 'Incarnation', 'Meta', 'Node', 'Port', 'Vsn']);
    const value = this.pick([
      [0xc0],
      [0xc3],
      [0x07],
      [0xff],
      [0xcb, ...this.noise(8)],
      [0xa1, 0x61],
      [0x92, 1, 2],
      [0x81, 0xa1, 0x61, 1],
      [0xc7, 3, 1, 2, 3, 4],
      [0xc1],
    ]);
    return this.alive({ [key]: value });
  }
}

const HUGE = [
  [0xdf, 255, 255, 255, 255],
  [0xde, 255, 255],
  [0x81, 0xdb, 255, 255, 255, 255],
  [0x81, 0xa4, 0x4e, 0x6f, 0x64, 0x65, 0xdb, 0x7f, 255, 255, 255],
  [0x81, 0xa3, 0x42, 0x75, 0x66, 0xdd, 255, 255, 255, 255],
  [0x81, 0xa1, 0x78, 0xdd, 255, 255, 255, 255],
  [0x81, 0xa1, 0x78, 0xc9, 255, 255, 255, 255],
] as const;

/** Bytes with the header that Go writes. */
export function raw(bytes: Uint8Array): number[] {
  return [...new RawWriter().raw(bytes).finish()];
}

export function packedFrame(packed: Uint8Array): Uint8Array {
  return new RawWriter().byte(9).map(2).raw('Algo').uint(0).raw('Buf').raw(packed).finish();
}

/** Whatever the parts are. */
export function compound(parts: readonly Uint8Array[]): Uint8Array {
  const lengths = parts.flatMap(({ length }) => [(length >> 8) & 255, length & 255]);
  return Buffer.concat([Uint8Array.of(7, parts.length, ...lengths), ...parts]);
}
