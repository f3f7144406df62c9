import path from 'node:path';

import { status } from '@grpc/grpc-js';

import type { Places } from '../../config/paths.js';
import { FractoryError } from '../../runtime/errors.js';
import { FaultFolder } from '../chaos/fault-folder.js';
import type { NodePlace } from '../node-commands.js';
import type { RecordedNetwork } from '../run-file.js';
import { PrivateNetwork } from './private-network.js';
import { enterPrivately } from './private-process.js';

/** Hidden by a folder of its own in the private mount namespace. */
const HIDDEN = ['/run/', '/var/run/'];

/**
 * The network of a data center that this process starts; in the private namespaces in which it was started. Nodes and servers are added as they are
 * planned. Faults that an earlier network had are forgotten.
 */
export async function makeDataCenterNetwork(
  outer: string,
  { statePath }: Places,
): Promise<PrivateNetwork> {
  const folder = path.join(statePath, path.sep);
  if (HIDDEN.some((hidden) => folder.startsWith(hidden)))
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'STATE_FOLDER_HIDDEN',
      `the state folder ${statePath} can't be seen from namespaces; set FRACTORY_STATE to one outside of /run`,
    );
  await enterPrivately(outer);
  await new FaultFolder(statePath).remove();
  return PrivateNetwork.make();
}

/** What other processes need to know of it. */
export function recordedNetwork(network: PrivateNetwork): RecordedNetwork {
  const { switchNamespace, driverAddress, coordinatorAddress, links } = network;
  return { switchNamespace, driverAddress, coordinatorAddress, links: [...links] };
}

/** Gives a node a link of its own. */
export async function placeIn(network: PrivateNetwork, node: string): Promise<NodePlace> {
  const { address } = await network.add(node);
  return { address, within: network.within(node) };
}
