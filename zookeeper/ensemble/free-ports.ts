import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { Server } from 'node:net';

/** Below the range from which systems take ports for outgoing connections, so that nobody gets one of ours meanwhile by chance. */
const FIRST = 15_000;
const LAST = 31_999;
const ATTEMPTS = 200;

/** Different ports that are free on `host` right now. */
export async function freePorts(count: number, host: string): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  try {
    for (let attempt = 0; ports.length < count && attempt < ATTEMPTS; attempt++) {
      const port = randomInt(FIRST, LAST + 1);
      const server = await hold(port, host);
      if (!server) continue;
      held.push(server);
      ports.push(port);
    }
  } finally {
    await Promise.all(held.map((server) => release(server)));
  }
  if (ports.length < count) throw new Error(`found only ${String(ports.length)} free ports`);
  return ports;
}

function hold(port: number, host: string): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(undefined);
    });
    server.listen(port, host, () => {
      resolve(server);
    });
  });
}

function release(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
