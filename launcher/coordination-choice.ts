import { externalCoordinator } from '../config/coordinator-choice.js';
import { status } from '@grpc/grpc-js';

import type { DataCenterConfig } from '../config/data-center-config.js';
import type { CoordinatorConfig } from '../config/node-config.js';
import { zookeeperEnvironment } from '../config/zookeeper-environment.js';
import type { Logger } from '../runtime/logger.js';
import { Ensemble } from '../zookeeper/ensemble.js';
import { FractoryError } from '../runtime/errors.js';
import type { Coordination } from './coordination.js';
import { EmbeddedCoordination } from './embedded-coordination.js';
import { EnsembleCoordination } from './ensemble-coordination.js';
import { ExternalCoordination } from './external-coordination.js';
import type { PrivateNetwork } from './network/private-network.js';

/** The coordinator that `up` uses: an external one, an ensemble of its own, or the embedded twin. */
export async function chooseCoordination(
  config: DataCenterConfig,
  options: {
    readonly embedded: boolean;
    readonly log: Logger;
    /** Where servers get links of their own. Default: loopback. */
    readonly network?: PrivateNetwork | undefined;
  },
): Promise<Coordination> {
  const { embedded, network } = options;
  if (embedded) return new EmbeddedCoordination(config, '--no-zookeeper was given', network);
  const external = externalCoordinator(config);
  if (external && network) throw outOfReach(external);
  if (external) return new ExternalCoordination(external);
  const { disabledBy } = config.zookeeper;
  if (disabledBy !== undefined)
    return new EmbeddedCoordination(config, `${disabledBy} in ${config.file}`, network);
  const installation = await Ensemble.find(zookeeperEnvironment());
  if (installation.ok) return new EnsembleCoordination(config, installation, options);
  const { missing, remedy } = installation;
  const what = missing === 'java' ? 'there is no Java' : 'ZooKeeper is not installed';
  return new EmbeddedCoordination(config, `${what} (${remedy})`, network);
}

function outOfReach({ kind, connect }: CoordinatorConfig): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'COORDINATOR_OUT_OF_REACH',
    `the ${kind} at ${connect} can't be reached from namespaces: start without --namespaces, or with a coordinator of its own`,
  );
}
