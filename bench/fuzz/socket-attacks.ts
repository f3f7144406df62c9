import { createHmac } from 'node:crypto';

import { wholeBetween } from '../../runtime/seeded-random.js';
import type { Random } from '../../runtime/seeded-random.js';
import { DATA_CENTER, SECRET } from './fuzzed-data-center.js';
import { oneOf, randomBytes } from './hostile-values.js';
import type { Attack } from './http2-attacks.js';
import { RudeSocket } from './socket-flood.js';
import { bytesField, numberField } from './wire.js';

const HELLO = 1;
const READ = 2;

function bulkFrame(kind: number, payload: Uint8Array, length = payload.length): Buffer {
  const header = Buffer.alloc(5);
  header[0] = kind;
  header.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([header, payload]);
}

/** What a controller shows, or what somebody who has not got the key makes up. */
function hello(key: Uint8Array): Buffer {
  const name = bytesField(1, Buffer.from(DATA_CENTER));
  const member = bytesField(2, Buffer.from('math-1'));
  return bulkFrame(HELLO, Buffer.concat([key, name, member, numberField(3, 1n)]));
}

const genuine = (): Buffer => hello(createHmac('sha256', SECRET).update('bulk').digest());

function conversation(bytes: (random: Random) => Buffer): Attack {
  return async ({ address, random, forMs }) => {
    using socket = new RudeSocket(address);
    await socket.send(bytes(random));
    await socket.linger(forMs);
  };
}

/** The data path between controllers: raw TCP. */
export const BULK_ATTACKS: Readonly<Record<string, Attack>> = {
  'bulk: garbage': conversation((random) => randomBytes(random, 3000)),
  'bulk: a key made up': conversation((random) => hello(randomBytes(random, 32))),
  'bulk: half a key': conversation((random) => bulkFrame(HELLO, randomBytes(random, 12))),
  'bulk: a hello that is too long': conversation(() => bulkFrame(HELLO, Buffer.alloc(10), 2 ** 31)),
  'bulk: silence': conversation(() => Buffer.alloc(0)),
  'bulk: reads before the hello': conversation(() => bulkFrame(READ, Buffer.alloc(0))),
  'bulk: reads of garbage': conversation((random) =>
    Buffer.concat([genuine(), bulkFrame(READ, randomBytes(random, 200))]),
  ),
  'bulk: reads with nothing': conversation(() =>
    Buffer.concat([genuine(), bulkFrame(READ, Buffer.alloc(0))]),
  ),
  'bulk: many reads at once': conversation((random) =>
    Buffer.concat([
      genuine(),
      ...Array.from({ length: 20 }, () =>
        bulkFrame(READ, bytesField(1, randomBytes(random, wholeBetween(random, 0, 60)))),
      ),
    ]),
  ),
  'bulk: any frame': conversation((random) =>
    Buffer.concat([genuine(), bulkFrame(wholeBetween(random, 0, 255), randomBytes(random, 20))]),
  ),
  'bulk: a trickle': async ({ address, forMs }) => {
    using socket = new RudeSocket(address);
    let at = 0;
    const bytes = genuine();
    await socket.flood(forMs, () => bytes.subarray(at, ++at));
  },
};

/** The endpoint for metrics: HTTP/1.1. */
export const METRICS_ATTACKS: Readonly<Record<string, Attack>> = {
  'metrics: garbage': conversation((random) => randomBytes(random, 3000)),
  'metrics: headers without end': async ({ address, forMs }) => {
    using socket = new RudeSocket(address);
    await socket.send(Buffer.from('GET /metrics HTTP/1.1\r\nhost: x\r\n'));
    let count = 0;
    await socket.flood(forMs, () => Buffer.from(`x-${String(count++)}: ${'y'.repeat(100)}\r\n`));
  },
  'metrics: odd requests': conversation((random) => Buffer.from(oneOf(random, ODD_REQUESTS))),
  'metrics: many requests, nothing read': async ({ address, forMs }) => {
    using socket = new RudeSocket(address, false);
    const request = Buffer.from('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(20));
    await socket.flood(forMs, () => request);
  },
  'metrics: a body without end': async ({ address, forMs }) => {
    using socket = new RudeSocket(address);
    await socket.send(
      Buffer.from('POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n'),
    );
    await socket.flood(forMs, () => Buffer.alloc(16_384));
  },
  'metrics: silence': conversation(() => Buffer.alloc(0)),
};

const ODD_REQUESTS = [
  'GET /../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n',
  'GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n',
  'CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n',
  'GET /metrics HTTP/9.9\r\n\r\n',
  'GET /metrics HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
  'GET /metrics HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  'GET /metrics HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\r\n',
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
];
