import { connect } from 'node:net';

import { sleep } from '../../../runtime/deadline.js';
import { STACK } from '../verdict.js';
import type { HostilePackets } from './hostile-packet.js';

interface Request {
  readonly text: string;
  /** What is done once it is written. Default: the answer is awaited. */
  readonly end?: 'reset' | 'half';
  /** Bytes that are written every millisecond; default all at once. */
  readonly pieceBytes?: number;
}

/** What the agent may answer to what is broken. */
const ANSWERS = new Set([
  100, 200, 400, 401, 403, 404, 405, 408, 413, 414, 417, 431, 501, 505, 507,
]);
const PATHS = ['/members', '/info', '/health', '/get', '/add', '/del', '/', '//', '/../add'];
const METHODS = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'get', 'P\u0000ST'];
const FIELDS = [
  'a',
  '__proto__',
  '%00',
  '%',
  '%ff%fe',
  '+',
  '%20',
  'k'.repeat(129),
  '%F0%9F%98%80',
];
const HOST = 'Host: 127.0.0.1\r\n';

/** Broken requests for the HTTP face of an agent. */
export class HostileRequests {
  readonly #packets: HostilePackets;
  readonly #kinds: readonly (readonly [string, () => Request])[];

  constructor(packets: HostilePackets) {
    this.#packets = packets;
    const { below, pick, noise, text } = bound(packets);
    this.#kinds = [
      ['noise', () => ({ text: text(noise(below(2000))), end: pick(['half', 'reset']) })],
      ['line', () => ({ text: `${pick(METHODS)} ${pick(TARGETS)} HTTP/1.1\r\n${HOST}\r\n` })],
      ['version', () => ({ text: `GET /info HTTP/${pick(['0.9', '1.0', '2', '9.9'])}\r\n\r\n` })],
      ['field', () => ({ text: `GET /get?key=${pick(FIELDS)} HTTP/1.1\r\n${HOST}\r\n` })],
      ['method', () => ({ text: `${pick(METHODS)} ${pick(PATHS)} HTTP/1.1\r\n${HOST}\r\n` })],
      ['long line', () => ({ text: `GET /${'x'.repeat(below(40_000))} HTTP/1.1\r\n${HOST}\r\n` })],
      ['headers', () => ({ text: `GET /info HTTP/1.1\r\n${HOST}${headers(below(300))}\r\n` })],
      ['header', () => ({ text: `GET /info HTTP/1.1\r\n${HOST}${pick(HEADERS)}\r\n\r\n` })],
      ['form', () => this.#posted(pick(FORMS), 'application/x-www-form-urlencoded')],
      ['json', () => this.#posted(pick(DOCUMENTS), 'application/json')],
      ['body', () => this.#posted(text(noise(below(20_000))), 'text/plain')],
      ['mutated', () => ({ text: text(packets.mutated(Buffer.from(this.#good()))), end: 'half' })],
      ['short body', () => ({ ...this.#posted('key=a&val=b', 'text/plain', 100), end: 'half' })],
      ['reset', () => ({ ...this.#posted('key=a&val=b', 'text/plain', 100), end: 'reset' })],
      ['chunks', () => this.#chunked()],
      ['two at once', () => ({ text: `${this.#good()}${this.#good()}` })],
      ['trickle', () => ({ text: this.#good(), pieceBytes: 1 })],
    ];
  }

  /** One connection from its beginning to its end: its kind, and what is wrong with the answer. */
  async attack(port: number, forMs: number): Promise<{ kind: string; fault?: string }> {
    const [kind, make] = this.#packets.pick(this.#kinds);
    const { text, end, pieceBytes = text.length } = make();
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    let told = '';
    const answered = new Promise<void>((resolve) => {
      socket.once('end', resolve).on('data', (data) => {
        told = (told + data.toString('latin1')).slice(0, 100_000);
        if (told.includes('}\n') || told.includes('\r\n\r\n')) resolve();
      });
    });
    const over = Promise.race([closed, answered, sleep(forMs)]);
    for (let at = 0; at < text.length && !socket.destroyed; at += Math.max(1, pieceBytes)) {
      socket.write(text.slice(at, at + pieceBytes), 'latin1');
      if (pieceBytes < text.length) await sleep(1);
    }
    if (end === 'reset') socket.resetAndDestroy();
    if (end === 'half') socket.end();
    await over;
    socket.destroy();
    const fault = faultOf(told);
    return { kind, ...(fault === undefined ? {} : { fault: `HTTP, ${kind}: ${fault}` }) };
  }

  #good(): string {
    const { pick } = bound(this.#packets);
    return `${pick(['GET /info', 'GET /get?key=a', 'POST /add?key=a&val=b', 'POST /del?key=a'])} HTTP/1.1\r\n${HOST}\r\n`;
  }

  #posted(body: string, type: string, length = Buffer.byteLength(body, 'latin1')): Request {
    const { pick } = bound(this.#packets);
    const line = `POST ${pick(['/add', '/del', '/add?key=a'])} HTTP/1.1`;
    const about = `content-type: ${type}\r\ncontent-length: ${String(length)}`;
    return { text: `${line}\r\n${HOST}${about}\r\n\r\n${body}` };
  }

  #chunked(): Request {
    const { pick } = bound(this.#packets);
    const chunk = pick(['ffffffffffffffff', '-1', 'zz', '5', '0', '4000']);
    const line = `POST /add HTTP/1.1\r\n${HOST}transfer-encoding: chunked`;
    return { text: `${line}\r\n\r\n${chunk}\r\n${'x'.repeat(0x4100)}\r\n`, end: 'half' };
  }
}

/** What is wrong with what was said; undefined = nothing. Nothing is said to who hung up. */
export function faultOf(told: string): string | undefined {
  for (const [, code = ''] of told.matchAll(/^HTTP\/1\.1 (\d+) /gm))
    if (!ANSWERS.has(Number(code))) return `it answers ${code}: ${told.slice(0, 300)}`;
  return STACK.test(told) ? `it tells of its source: ${told.slice(0, 300)}` : undefined;
}

const TARGETS = [
  ...['*', 'http://[::bad/info', 'http://elsewhere.example/members', '//', '/%', '/\u0000', '?'],
  ...['/get?key=a&key=b', '/get?key', '/get?=', '/add#key=a', 'info', '/info/', '/INFO'],
];
const FORMS = [
  ...['', 'key', 'key=', 'key=a', 'key=%&val=%', 'key=a&key=b&val=c', '&&&&', '='.repeat(10_000)],
  ...[`key=a&val=${'v'.repeat(769)}`, `key=a&val=${'%00'.repeat(200)}`, 'key=a b&val=c'],
];
const DOCUMENTS = [
  ...['{', '{}', '{"key":null}', '{"key":["a"]}', '{"key":{"a":1}}', '{"key":1e999,"val":1}'],
  ...['{"key":"a","val":"\\ud800"}', '{"__proto__":{"key":"a"}}', '{"key":"a","val":true}', '[]'],
  ...[
    `{"key":${'['.repeat(16_000)}`,
    `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`,
    '{"key":"\\u0000"}',
  ],
];
const HEADERS = [
  ...[
    'Host: ',
    'Origin: x',
    'Authorization: Bearer ',
    'Content-Length: -1',
    'Expect: 100-continue',
  ],
  ...['Expect: 9', 'Upgrade: websocket\r\nConnection: Upgrade', 'Transfer-Encoding: gzip', ': x'],
  ...['Content-Length: 5\r\nTransfer-Encoding: chunked', 'X: \u0001', 'Host: 127.0.0.1:x:y'],
];

function headers(count: number): string {
  return Array.from({ length: count }, (_, at) => `x-${String(at)}: ${'y'.repeat(60)}\r\n`).join(
    '',
  );
}

function bound(packets: HostilePackets) {
  return {
    below: (limit: number) => packets.below(limit),
    pick: <T>(choices: readonly T[]): T => packets.pick(choices),
    noise: (bytes: number) => packets.noise(bytes),
    /** Each byte a character. */
    text: (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1'),
  };
}
