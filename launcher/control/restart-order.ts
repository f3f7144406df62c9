import type { Member } from '../../zookeeper/coordinator.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import { stopStages } from '../stop-order.js';

/** A node that is to be restarted. */
export interface Restartable {
  readonly name: string;
  readonly type: string;
}

/**
 * The order of a rolling restart: types that are needed before those that need them, and within a type the followers before the leader, so that
 * leadership moves once, to a member that has been restarted.
 */
export function restartOrder<T extends Restartable>(
  nodes: readonly T[],
  members: readonly Member[],
): T[] {
  const stages = stopStages(nodes.map(({ type }) => type)).reverse();
  return stages.flatMap((stage) => {
    const ofType = nodes.filter(({ type }) => type === stage);
    const leader = leaderOf(members, stage)?.id;
    return [
      ...ofType.filter(({ name }) => name !== leader),
      ...ofType.filter(({ name }) => name === leader),
    ];
  });
}
