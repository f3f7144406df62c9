import { networkInterfaces } from 'node:os';
import type { NetworkInterfaceInfo } from 'node:os';

/** What all addresses of a network in private namespaces begin with (`up --namespaces`, `tax`); its mask is 24 bits. */
export const PRIVATE_PREFIX = '10.231.0.';

/** Tells a node that it was started inside a private network. The claim alone opens nothing: `isPrivateNetwork`. */
export const PRIVATE_NETWORK_VARIABLE = 'FRACTORY_PRIVATE_NETWORK';

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/**
 * True where nobody outside can reach an address of ours: the launcher says that this process is in a private network, and every interface that it has
 * is loopback or belongs to that network, so there is no way out and none in.
 */
export function isPrivateNetwork(
  environment: NodeJS.ProcessEnv = process.env,
  interfaces: () => Interfaces = networkInterfaces,
): boolean {
  if (environment[PRIVATE_NETWORK_VARIABLE] !== '1') return false;
  return Object.values(interfaces()).every((addresses = []) =>
    addresses.every(
      ({ internal, family, address }) =>
        internal ||
        (family === 'IPv4' && address.startsWith(PRIVATE_PREFIX)) ||
        // Every link has one of these; it leads no further than the link.
        address.toLowerCase().startsWith('fe80:'),
    ),
  );
}
