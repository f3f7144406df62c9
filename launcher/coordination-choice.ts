import { externalCoordinator } from '../config/coordinator-choice.js';
import type { DataCenterConfig } from '../config/data-center-config.js';
import { zookeeperEnvironment } from '../config/zookeeper-environment.js';
import type { Logger } from '../runtime/logger.js';
import { Ensemble } from '../zookeeper/ensemble.js';
import type { Coordination } from './coordination.js';
import { EmbeddedCoordination } from './embedded-coordination.js';
import { EnsembleCoordination } from './ensemble-coordination.js';
import { ExternalCoordination } from './external-coordination.js';

/** The coordinator that `up` uses: an external one, an ensemble of its own, or the embedded twin. */
export async function chooseCoordination(
  config: DataCenterConfig,
  options: { readonly embedded: boolean; readonly log: Logger },
): Promise<Coordination> {
  if (options.embedded) return new EmbeddedCoordination(config, '--no-zookeeper was given');
  const external = externalCoordinator(config);
  if (external) return new ExternalCoordination(external);
  const { disabledBy } = config.zookeeper;
  if (disabledBy !== undefined)
    return new EmbeddedCoordination(config, `${disabledBy} in ${config.file}`);
  const installation = await Ensemble.find(zookeeperEnvironment());
  if (installation.ok) return new EnsembleCoordination(config, installation, options.log);
  const { missing, remedy } = installation;
  const what = missing === 'java' ? 'there is no Java' : 'ZooKeeper is not installed';
  return new EmbeddedCoordination(config, `${what} (${remedy})`);
}
