import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { readArguments } from '../../runtime/arguments.js';

// Either end of a raw TCP transfer. `sink HOST` prints its port, tells the other end how much has arrived, and ends with its
// standard input. `source HOST PORT BYTES` prints what it measured as JSON.

const PINGS = 200;
const CHUNK = Buffer.alloc(256 * 1024, 7);

/** Answers each first byte of a ping; once the total of a transfer was announced, only its end. */
function sink(host: string): void {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    let expected: number | undefined;
    let received = 0;
    socket.on('data', (data: Buffer) => {
      let rest = data;
      if (expected === undefined) {
        if (data.length < 8) {
          socket.write('p');
          return;
        }
        expected = Number(data.readBigUInt64BE());
        rest = data.subarray(8);
      }
      received += rest.length;
      if (received >= expected) socket.end('done');
    });
    socket.on('error', () => undefined);
  });
  server.listen(0, host, () => {
    print(String((server.address() as AddressInfo).port));
  });
  process.stdin.on('end', () => process.exit(0)).resume();
}

async function source(host: string, port: number, bytes: number): Promise<void> {
  const socket = connect(port, host);
  socket.setNoDelay(true);
  await once(socket, 'connect');
  const roundTripUs = await medianPing(socket);
  const startedAt = performance.now();
  const header = Buffer.alloc(8);
  header.writeBigUInt64BE(BigInt(bytes));
  socket.write(header);
  for (let left = bytes; left > 0; left -= CHUNK.length)
    if (!socket.write(CHUNK.subarray(0, Math.min(left, CHUNK.length)))) await once(socket, 'drain');
  await once(socket, 'data');
  const seconds = (performance.now() - startedAt) / 1000;
  socket.destroy();
  print(JSON.stringify({ bitsPerSecond: Math.round((bytes * 8) / seconds), roundTripUs }));
}

async function medianPing(socket: Socket): Promise<number> {
  const samples: number[] = [];
  for (let ping = 0; ping < PINGS; ping++) {
    const startedAt = performance.now();
    socket.write('p');
    await once(socket, 'data');
    samples.push((performance.now() - startedAt) * 1000);
  }
  return Math.round(samples.sort((a, b) => a - b)[PINGS / 2] ?? 0);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const [role, host = '', port, bytes] = readArguments();
if (role === 'sink') sink(host);
else await source(host, Number(port), Number(bytes));
