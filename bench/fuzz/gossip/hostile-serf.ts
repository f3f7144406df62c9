import { encodeEntry } from '../../../gossip/agent/replicated-map.js';
import type { Endpoint } from '../../../gossip/core/member.js';
import { encodeUserEvent } from '../../../gossip/serf/events.js';
import { encodeJoin, encodeLeave } from '../../../gossip/serf/intents.js';
import { SerfType } from '../../../gossip/serf/message-type.js';
import { encodeAnswer, encodeQuery, encodeRelay } from '../../../gossip/serf/queries.js';
import { encodingState } from '../../../gossip/serf/state.js';
import { RawWriter } from '../../../gossip/wire/raw-writer.js';
import { raw } from './hostile-packet.js';
import type { HostilePacket, HostilePackets } from './hostile-packet.js';

export interface HostileSerfOptions {
  /** Name of the agent that is attacked. */
  readonly victim: string;
  /** Where it is, and where made-up members are: nothing that it answers goes elsewhere. */
  readonly self: Endpoint;
  readonly home: Endpoint;
}

/** Name of the events that carry entries of the map. */
export const MAP_EVENT = 'fractory.map';
const KEPT = 200;
/** Of keys that are installed: who has the key may install what it likes. */
const POOL = Array.from({ length: 4 }, (_, at) => new Uint8Array(16).fill(at + 1));

/** What agents of Serf, and ours, say to each other above memberlist: from noise to well-made lies about everything but those who are well. */
export class HostileSerf {
  readonly #packets: HostilePackets;
  readonly #options: HostileSerfOptions;
  readonly #heard: Uint8Array[] = [];
  readonly #kinds: readonly (readonly [string, () => Uint8Array])[];

  constructor(packets: HostilePackets, options: HostileSerfOptions) {
    this.#packets = packets;
    this.#options = options;
    this.#kinds = [
      ['event', () => this.#event()],
      ['map entry', () => this.#mapEvent(this.entry())],
      ['mutated map entry', () => this.#mapEvent(packets.mutated(this.entry()))],
      ['no map entry', () => this.#mapEvent(packets.noise(packets.below(100)))],
      ['leave', () => encodeLeave({ time: this.#time(), name: this.#name(), prune: this.#coin() })],
      ['join', () => encodeJoin({ time: this.#time(), name: this.#name() })],
      ['query', () => this.#query(packets.pick(PLAIN_QUERIES), packets.noise(packets.below(50)))],
      ['conflict query', () => this.#query('_serf_conflict', Buffer.from(this.#name()))],
      ['key query', () => this.#keyQuery()],
      ['answer', () => this.#answer()],
      ['relay', () => this.#relay()],
      ['mutated message of Serf', () => packets.mutated(this.#known())],
      [
        'truncated message of Serf',
        () => this.#known().subarray(0, packets.below(this.#known().length)),
      ],
      ['type of a field of Serf', () => this.#wrongType()],
      ['huge header of Serf', () => this.#huge()],
      ['state as a message', () => this.state()],
      ['noise of Serf', () => Uint8Array.of(packets.below(12), ...packets.noise(200))],
    ];
  }

  /** For the delegate: a user message. */
  next(): HostilePacket {
    const [kind, make] = this.#packets.pick(this.#kinds);
    return { kind, bytes: make() };
  }

  /** A message that was heard from those who are attacked, to be changed. */
  learn(message: Uint8Array): void {
    if (this.#heard.length < KEPT && message[0] !== SerfType.relay)
      this.#heard.push(Uint8Array.from(message));
  }

  /** What is exchanged, as a member of ours has it. */
  state(): Uint8Array {
    const { below, pick, mutated, noise } = bound(this.#packets);
    const state = this.#wellMade();
    return pick<() => Uint8Array>([
      () => state,
      () => state,
      () => mutated(state),
      () => state.subarray(0, below(state.length)),
      () => Uint8Array.of(SerfType.pushPull, ...noise(below(300))),
      () => this.#lyingState(),
    ])();
  }

  /** What rides on an answer to a ping. */
  coordinate(): Uint8Array {
    const { pick, noise, below, mutated } = bound(this.#packets);
    const number = (): number => pick([0, -1, 1e-9, 1e300, -1e300, NaN, Infinity, -Infinity, 5]);
    const size = pick([0, 1, 8, 8, 8, 9, 64, 65]);
    const writer = new RawWriter().byte(1).map(4).raw('Vec').list(size);
    for (let at = 0; at < size; at++) writer.double(number());
    for (const key of ['Error', 'Adjustment', 'Height']) writer.raw(key).double(number());
    const made = writer.finish();
    return pick([made, made, mutated(made), noise(below(100))]);
  }

  /** Of the map: well made, and often a lie. Of few keys, so that the map is never full. */
  entry(): Uint8Array {
    const { pick, below } = bound(this.#packets);
    const now = Date.now();
    return encodeEntry({
      key: pick(['a', 'b', '__proto__', 'constructor', '', ' ', 'k'.repeat(128), '\u0000']),
      value: 'v'.repeat(pick([0, 1, below(768), 768, 769, 5000])),
      ms: pick([0, now, now + below(60_000), now + 59_990, now + 61_000, 2 ** 52, 2 ** 53 - 1]),
      count: pick([0, 1, below(2 ** 32), 2 ** 32 - 2, 2 ** 32 - 1]),
      by: pick([this.#options.victim, this.#packets.ghost(), '', 'z'.repeat(pick([512, 513]))]),
      deleted: this.#coin(),
    });
  }

  #wellMade(): Uint8Array {
    const { pick, below, noise } = bound(this.#packets);
    const several = <T>(make: () => T): T[] => Array.from({ length: below(6) }, make);
    return finished(
      encodingState({
        ...{ time: this.#time(), eventTime: this.#time(), queryTime: this.#time() },
        statusTimes: new Map(several(() => [this.#name(), this.#time()])),
        left: several(() => this.#name()),
        events: several(() => ({
          time: this.#time(),
          events: several(() => ({
            name: pick(['deploy', '', MAP_EVENT]),
            payload: pick([noise(below(100)), this.entry()]),
          })),
        })),
        ours: pick([new Uint8Array(), this.#map(), this.#map(), noise(below(100))]),
      }),
    );
  }

  /** A whole map, or what says that it is. */
  #map(): Uint8Array {
    const { pick, below, mutated } = bound(this.#packets);
    const entries = Array.from({ length: below(10) }, () => this.entry());
    const claimed = pick([entries.length, entries.length, 0, 10_000, 10_001, 0xff_ff_ff_ff]);
    const made = Buffer.concat([new RawWriter().uint(claimed).finish(), ...entries]);
    return pick([made, made, mutated(made)]);
  }

  #lyingState(): Uint8Array {
    const { pick, noise } = bound(this.#packets);
    const key = pick(['LTime', 'StatusLTimes', 'LeftMembers', 'Events', 'QueryLTime', 'Fractory']);
    const value = pick([...HEADERS, ...VALUES, raw(noise(50))]);
    return fields(SerfType.pushPull, { [key]: value });
  }

  #event(): Uint8Array {
    const { pick, noise, below } = bound(this.#packets);
    const name = pick(['deploy', 'deploy', '', '\u0000', 'x'.repeat(256), 'x'.repeat(257)]);
    const payload = noise(pick([0, below(100), 900, 9 * 1024, 9 * 1024 + 1, 17_000]));
    return encodeUserEvent({ time: this.#time(), name, payload, coalesce: this.#coin() });
  }

  #mapEvent(payload: Uint8Array): Uint8Array {
    return encodeUserEvent({ time: this.#time(), name: MAP_EVENT, payload, coalesce: false });
  }

  #query(name: string, payload: Uint8Array): Uint8Array {
    const { pick, below } = bound(this.#packets);
    return encodeQuery({
      ...{ time: this.#time(), id: below(2 ** 32), name, payload, source: this.#name() },
      ...{ address: this.#address(), port: pick([this.#options.home.port, 0, 9]) },
      filters: Array.from({ length: pick([0, 0, 1, 2, 64, 65]) }, () => this.#filter()),
      flags: pick([0, 1, 2, 3, 0xff_ff_ff_ff]),
      relays: pick([0, 0, 1, 255]),
    });
  }

  #filter(): Uint8Array {
    const { pick, noise, below } = bound(this.#packets);
    const expression = pick(EXPRESSIONS);
    return pick<() => Uint8Array>([
      () => new Uint8Array(),
      () => noise(below(60)),
      () => new RawWriter().byte(0).list(1).raw(this.#options.victim).finish(),
      () => fields(1, { Expr: raw(Buffer.from(expression)), Tag: raw(Buffer.from('role')) }),
      () => fields(0, {}),
      () => Uint8Array.of(0, ...pick(HEADERS)),
    ])();
  }

  /** The key in use is never changed: who has it is told so, and then may. */
  #keyQuery(): Uint8Array {
    const { pick, noise } = bound(this.#packets);
    const stranger = noise(pick([0, 15, 16, 24, 32, 33]));
    const request = (key: Uint8Array): Uint8Array => fields(SerfType.keyRequest, { Key: raw(key) });
    const what = pick(['install', 'use', 'remove', 'list'] as const);
    const key = what === 'install' ? pick([...POOL, noise(15), noise(33)]) : stranger;
    const removed = what === 'remove' ? pick([...POOL, stranger]) : key;
    const payload = pick([request(removed), request(removed), noise(10), new Uint8Array()]);
    return this.#query(`_serf_${what}-key${what === 'list' ? 's' : ''}`, payload);
  }

  #answer(from = this.#name()): Uint8Array {
    const { pick, below, noise } = bound(this.#packets);
    const given = { time: this.#time(), id: below(2 ** 32), from, flags: below(4) };
    const made = encodeAnswer({ ...given, payload: noise(below(200)) });
    return Uint8Array.of(pick([5, 5, 6, 7, 8]), ...made.subarray(1));
  }

  /** Nested, to itself, to nobody; to made-up members only what is well made, as it is sent on as it is. */
  #relay(): Uint8Array {
    const { pick, noise, below, mutated } = bound(this.#packets);
    const { self, home } = this.#options;
    const nowhere = { address: this.#address(), port: 9 };
    let inner = pick([this.#answer(), this.#event(), new Uint8Array(), noise(below(300))]);
    for (let depth = below(20); depth > 0; depth--) inner = encodeRelay(self, '', inner);
    return pick([
      encodeRelay(home, this.#name(), this.#answer('')),
      encodeRelay(self, this.#name(), inner),
      mutated(encodeRelay(nowhere, this.#name(), inner)),
    ]);
  }

  #wrongType(): Uint8Array {
    const { pick } = bound(this.#packets);
    const [type, keys] = pick(KEYS);
    const named = { Name: raw(Buffer.from('deploy')), Node: raw(Buffer.from(this.#name())) };
    const least = Object.fromEntries(Object.entries(named).filter(([key]) => keys.includes(key)));
    return fields(type, { ...least, [pick(keys)]: pick([...VALUES, ...HEADERS]) });
  }

  #huge(): Uint8Array {
    const { pick, noise, below } = bound(this.#packets);
    return Uint8Array.of(below(11), ...pick(HEADERS), ...noise(below(60)));
  }

  /** Something well made, or heard from those who are attacked: no query for keys and no relay, as a change may turn it into another. */
  #known(): Uint8Array {
    const { pick } = bound(this.#packets);
    const made = [this.#event(), this.#mapEvent(this.entry()), this.#answer()];
    made.push(encodeLeave({ time: this.#time(), name: this.#name(), prune: this.#coin() }));
    made.push(encodeJoin({ time: this.#time(), name: this.#name() }));
    made.push(this.#query('deploy', new Uint8Array()), this.#query('_serf_ping', POOL[0]!));
    return this.#heard.length > 0 && this.#coin() ? pick(this.#heard) : pick(made);
  }

  #address(): Uint8Array {
    const { pick, noise } = bound(this.#packets);
    const mapped = [...new Uint8Array(10), 0xff, 0xff, 127, 0, 0, 1];
    const lengths = [0, 3, 5, 15].map(noise);
    return pick([this.#options.home.address, Uint8Array.from(mapped), ...lengths]);
  }

  #time(): number {
    const { pick, below } = bound(this.#packets);
    return pick([0, 1, 2, below(50), below(5000), 2 ** 32, ...EDGES]);
  }

  #name(): string {
    const { pick } = bound(this.#packets);
    const ghost = this.#packets.ghost();
    return pick([this.#options.victim, ghost, ghost, '', 'n'.repeat(pick([512, 513]))]);
  }

  #coin(): boolean {
    return this.#packets.below(2) === 0;
  }
}

/** Times that nobody has come to, up to the last that can be written. */
const EDGES = [2 ** 40, 2 ** 52 - 1, 2 ** 52, 2 ** 52 + 1, 2 ** 53 - 1];
const PLAIN_QUERIES = ['deploy', '', '_serf_', '_serf_ping', '_serf_none', 'q'.repeat(257)];
const EXPRESSIONS = [
  ...['.*', '^(a+)+$', '(a*)*b', '[', '\\', '(?=a)', 'a{1,99999}', 'a+a+$', '(.+)\\1+$'],
  ...['a*a*a*a*$', '(a|a)+$', '\\u{110000}', 'x'.repeat(257)],
];
const KEYS: readonly (readonly [number, readonly string[]])[] = [
  [SerfType.leave, ['LTime', 'Node', 'Prune']],
  [SerfType.join, ['LTime', 'Node']],
  [SerfType.userEvent, ['LTime', 'Name', 'Payload', 'CC']],
  [
    SerfType.query,
    ['LTime', 'ID', 'Addr', 'Port', 'SourceNode', 'Filters', 'Flags', 'RelayFactor', 'Name'],
  ],
];
/** Values of any type. */
const VALUES: readonly (readonly number[])[] = [
  [0xc0],
  [0xc3],
  [0x07],
  [0xff],
  [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  [0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
  [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
  [0xa1, 0x61],
  [0x92, 1, 2],
  [0x81, 0xa1, 0x61, 1],
  [0xc7, 3, 1, 2, 3, 4],
  [0xc1],
];
/** Lists, maps and bytes that claim to be long. */
const HEADERS: readonly (readonly number[])[] = [
  [0xdf, 255, 255, 255, 255],
  [0xde, 255, 255],
  [0xdf, 0, 0x0f, 0xff, 0xff],
  [0xdd, 0, 0x0f, 0xff, 0xff],
  [0xdd, 255, 255, 255, 255],
  [0xdb, 255, 255, 255, 255],
  [0xdb, 1, 0x3f, 0, 0],
  Array.from({ length: 500 }, () => 0x91),
];

function fields(type: number, values: Readonly<Record<string, readonly number[]>>): Uint8Array {
  const entries = Object.entries(values);
  const writer = new RawWriter().byte(type).map(entries.length);
  for (const [key, value] of entries) writer.raw(key).bytes(Uint8Array.from(value));
  return writer.finish();
}

function finished(steps: Generator<undefined, Uint8Array>): Uint8Array {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Its verbs by themselves. */
function bound(packets: HostilePackets) {
  return {
    below: (limit: number) => packets.below(limit),
    pick: <T>(choices: readonly T[]): T => packets.pick(choices),
    noise: (bytes: number) => packets.noise(bytes),
    mutated: (bytes: Uint8Array) => packets.mutated(bytes),
  };
}
