import type { Endpoint, MemberView } from '../core/member.js';

/** Versions of the protocol that a member speaks. */
const VERSIONS = Uint8Array.of(1, 5, 2, 0, 0, 0);
const FIRST_PORT = 1024;
const PORTS = 2 ** 15;

/** A member by its place, as everybody knows it at the beginning. */
export function viewOf(place: number, meta: Uint8Array): MemberView {
  return {
    name: `member-${String(place)}`,
    incarnation: 1,
    // 10.0.0.0/8, by place.
    address: Uint8Array.of(10, place >>> 16, (place >>> 8) & 255, place & 255),
    port: FIRST_PORT + (place % PORTS),
    meta,
    versions: VERSIONS,
    state: 'alive',
    since: 0,
  };
}

/** Who is reached there. By the port alone where that is enough: it stands in the endpoint itself, an address lies elsewhere in memory. */
export function placeOf({ address, port }: Endpoint, members: number): number {
  const low = port - FIRST_PORT;
  if (members <= PORTS) return low;
  const [, high = 0, middle = 0] = address;
  return (((high << 16) | (middle << 8)) & -PORTS) | low;
}
