import { unavailable } from '../../runtime/errors.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { CommandContext } from '../command-context.js';
import { findRunning, withCoordinator } from '../running-data-center.js';
import { TrainingNode } from './training-node.js';

/** The node that trains: the leader of the CNN nodes, so that an interrupted training is found again. */
export async function withTrainingNode<T>(
  context: CommandContext,
  use: (node: TrainingNode) => Promise<T>,
): Promise<T> {
  const running = await findRunning(context);
  const leader = await withCoordinator(running, (coordinator) =>
    leaderOf(coordinator.members(), 'cnn'),
  );
  if (!leader)
    throw unavailable(
      'NO_CNN_NODE',
      'no CNN node is registered; ./datacenter status lists the members, ./datacenter node cnn starts one',
    );
  const { id, address } = leader;
  using node = new TrainingNode({ id, address, security: running.config.security });
  return await use(node);
}
