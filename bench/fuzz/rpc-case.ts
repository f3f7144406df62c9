import { gzipSync } from 'node:zlib';

import type { OutgoingHttpHeaders } from 'node:http2';

import { seededRandom, weighted, wholeBetween } from '../../runtime/seeded-random.js';
import type { Random } from '../../runtime/seeded-random.js';
import { LINK_KEY, linkKeyOf } from '../../runtime/link-key.js';
import { SECRET } from './fuzzed-data-center.js';
import type { Target } from './fuzzed-data-center.js';
import { HostileMessages } from './hostile-message.js';
import { chance, oneOf, randomBytes } from './hostile-values.js';
import { knownGood } from './known-good.js';
import { bytesField } from './wire.js';
import { framed } from './raw-call.js';
import type { CallScript, CallStep } from './raw-call.js';
import type { FuzzedMethod } from './schema.js';

/** A process under attack, with what it can be asked and what it has granted. */
export interface Subject {
  readonly target: Target;
  readonly methods: readonly FuzzedMethod[];
  /** Genuine capabilities, encoded. */
  readonly capabilities: readonly Uint8Array[];
}

/** One call that means ill. */
export interface RpcCase {
  readonly target: string;
  readonly path: string;
  readonly kind: FuzzedMethod['kind'];
  readonly what: string;
  readonly script: CallScript;
  /** Whether a status must come: all was sent, and a deadline with it. */
  readonly mustAnswer: boolean;
}

const ANSWER_MS = 800;
/** Beyond the deadline that the call carries. */
const GRACE_MS = 10_000;
const TRICKLE_MS = 15;
/** With the controllers' key they do what they say. */
const OBEYED = '/fractory.v1.ControllerService/Drain';

/** The case of this seed: the same for the same subject, but for the capabilities, whose secrets differ in each life. */
export function rpcCase(seed: number, subject: Subject): RpcCase {
  const random = seededRandom(seed);
  const method = oneOf(random, subject.methods);
  const { path, kind, input } = method;
  const maker = new HostileMessages(random, subject.capabilities);
  const held = subject.capabilities.length > 0 ? oneOf(random, subject.capabilities) : undefined;
  const good = knownGood(held)[path]?.() ?? [Buffer.alloc(0)];
  const manner = weighted(random, MANNERS) ?? 'generated';
  const messages = messagesFor(manner, random, maker, method, good);
  const { steps, isWhole } = stepsFor(manner, random, messages);
  const headers = headersFor(manner, random, path);
  const mustAnswer =
    isWhole && kind !== 'bidi_streaming' && manner !== 'headers' && input !== undefined;
  const waitMs = isWhole ? ANSWER_MS : wholeBetween(random, 0, 300);
  const script = { steps, headers, timeoutMs: mustAnswer ? ANSWER_MS + GRACE_MS : waitMs };
  return { target: subject.target.id, path, kind, what: manner, script, mustAnswer };
}

const MANNERS = [
  ['generated', 30],
  ['changed', 30],
  ['good', 4],
  ['framing', 6],
  ['compressed', 3],
  ['many', 6],
  ['trickle', 4],
  ['half-open', 4],
  ['cancelled', 8],
  ['order', 5],
  ['huge', 1],
  ['amplified', 1],
  ['headers', 4],
] as const;
type Manner = (typeof MANNERS)[number][0];

function messagesFor(
  manner: Manner,
  random: Random,
  maker: HostileMessages,
  { input }: FuzzedMethod,
  good: readonly Uint8Array[],
): readonly Uint8Array[] {
  switch (manner) {
    case 'good':
    case 'trickle':
    case 'headers':
    case 'compressed':
    case 'framing':
      return good;
    case 'generated':
      return Array.from({ length: oneOf(random, [0, 1, 1, 1, 1, 2]) }, () => maker.of(input));
    case 'many':
      return Array.from({ length: 40 }, () =>
        chance(random, 0.5) ? oneOf(random, good) : maker.of(input),
      );
    case 'order':
      return [...good].reverse().concat(good);
    case 'amplified':
      return [amplified(random, input)];
    case 'huge':
      return [...good, randomBytes(random, 64), Buffer.alloc(3 * 1024 ** 2, 8)];
    default: {
      const at = wholeBetween(random, 0, good.length - 1);
      return good.map((message, index) => (index === at ? maker.changed(message, input) : message));
    }
  }
}

function stepsFor(
  manner: Manner,
  random: Random,
  messages: readonly Uint8Array[],
): { steps: CallStep[]; isWhole: boolean } {
  const sent: CallStep[] = messages.map((message) => ({ message }));
  const end: CallStep = { end: true };
  switch (manner) {
    case 'framing':
      return {
        steps: [...messages.map((one) => ({ bytes: misframed(random, one) })), end],
        isWhole: false,
      };
    case 'compressed':
      return {
        steps: [...messages.map((one) => ({ bytes: compressed(random, one) })), end],
        isWhole: true,
      };
    case 'trickle':
      return { steps: trickled(Buffer.concat(messages.map((one) => framed(one)))), isWhole: false };
    case 'half-open':
      return { steps: sent.slice(0, wholeBetween(random, 0, sent.length)), isWhole: false };
    case 'cancelled': {
      const at = wholeBetween(random, 0, sent.length);
      const cancel: CallStep = { cancel: oneOf(random, [0, 2, 5, 7, 8, 11]) };
      const wait: CallStep = { waitMs: wholeBetween(random, 0, 20) };
      return { steps: [...sent.slice(0, at), wait, cancel], isWhole: false };
    }
    default:
      return { steps: [...sent, end], isWhole: true };
  }
}

/** Two bytes for each of a great many objects. */
function amplified(random: Random, input: FuzzedMethod['input']): Buffer {
  const lists = input?.fields.filter(({ fieldKind }) => fieldKind === 'list') ?? [];
  const field = lists.length > 0 ? oneOf(random, lists).number : 1;
  return Buffer.alloc(oneOf(random, AMPLIFIED_BYTES), bytesField(field, Buffer.alloc(0)));
}

const AMPLIFIED_BYTES = [1, 7, 60].map((mib) => mib * 1024 ** 2);

/** A length that lies, a flag that nobody knows, or half a header. */
function misframed(random: Random, message: Uint8Array): Buffer {
  const length = oneOf(random, [
    0,
    1,
    message.length + 1,
    2 ** 20,
    2 ** 26 + 1,
    2 ** 31,
    2 ** 32 - 1,
  ]);
  const whole = framed(message, oneOf(random, [0, 0, 1, 2, 255]), length);
  return chance(random, 0.3) ? whole.subarray(0, wholeBetween(random, 0, 4)) : whole;
}

const BOMB = gzipSync(Buffer.alloc(8 * 1024 ** 2));

/** What is said to be compressed: it is, or not, or to a thousandth. */
function compressed(random: Random, message: Uint8Array): Buffer {
  const inside = oneOf(random, [() => Buffer.from(message), () => gzipSync(message), () => BOMB])();
  return framed(inside, 1);
}

function trickled(bytes: Buffer): CallStep[] {
  const most = 40;
  return [...bytes.subarray(0, most)].flatMap((byte) => [
    { bytes: Buffer.of(byte) },
    { waitMs: TRICKLE_MS },
  ]);
}

function headersFor(manner: Manner, random: Random, path: string): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { 'grpc-timeout': `${String(ANSWER_MS)}m` };
  const knowsKey =
    path !== OBEYED &&
    manner !== 'amplified' &&
    chance(random, path.endsWith('/Link') ? 0.5 : 0.05);
  if (knowsKey)
    Object.assign(headers, { [LINK_KEY]: linkKeyOf(SECRET), 'fractory-member': 'math-1' });
  if (manner === 'compressed')
    headers['grpc-encoding'] = oneOf(random, ['gzip', 'deflate', 'br', 'gzip']);
  if (manner === 'headers') Object.assign(headers, oneOf(random, ODD_HEADERS));
  return headers;
}

const ODD_HEADERS: readonly OutgoingHttpHeaders[] = [
  { 'grpc-timeout': '99999999H' },
  { 'grpc-timeout': '0n' },
  { 'grpc-timeout': '-1S' },
  { 'grpc-timeout': 'soon' },
  { 'content-type': 'text/html' },
  { 'content-type': 'application/grpc+json' },
  { 'grpc-encoding': 'x'.repeat(2000) },
  { ':path': '/fractory.v1.MathService/Nothing' },
  { ':path': '/../../etc/passwd' },
  { ':path': '/\u00ff\u00fe%00%ff/x' },
  { ':path': `/${'a'.repeat(4000)}` },
  { ':path': '*' },
  { ':method': 'GET' },
  { ':method': 'PUT' },
  { traceparent: '00-zz-zz-zz' },
  { traceparent: `00-${'0'.repeat(32)}-${'0'.repeat(16)}-ff` },
  { authorization: 'Bearer \u00e9\u00ff' },
  { [LINK_KEY]: 'a'.repeat(3000), 'fractory-member': '__proto__' },
  { 'grpc-status-details-bin': '!!!not base64!!!' },
  { 'x-bin': '\u00ff', 'fractory-member': ['a', 'b', 'c'] },
  { 'grpc-accept-encoding': 'gzip,'.repeat(800) },
  { host: '\u00ff', 'user-agent': 'a'.repeat(8000) },
];
