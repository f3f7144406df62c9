import { connect } from 'node:net';

import { systemCodeOf } from './errors.js';

/**
 * What a bare connection to an address comes to. `refused`: its machine answers that nobody listens there. `silent`: neither of the two within
 * the time, or no way to that machine.
 */
export type Reachability = 'accepted' | 'refused' | 'silent';

/** @param address host:port; an IPv6 host in brackets */
export function reach(address: string, timeoutMs: number): Promise<Reachability> {
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  // Nobody can listen there; `connect` would throw.
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return Promise.resolve('silent');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (found: Reachability): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(found);
    };
    // One turn of the event loop first: where this process was busy the answer may be waiting in the socket.
    const timer = setTimeout(() => setImmediate(done, 'silent'), timeoutMs);
    socket.on('connect', () => {
      done('accepted');
    });
    socket.on('error', (error) => {
      done(systemCodeOf(error) === 'ECONNREFUSED' ? 'refused' : 'silent');
    });
  });
}
