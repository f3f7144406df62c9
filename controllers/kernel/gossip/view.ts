import { GossipState } from '../../../protos/gen/fractory/v1/controller.js';
import type {
  DescribeGossipResponse,
  GossipMember,
} from '../../../protos/gen/fractory/v1/controller.js';
import type { MemberState } from '../../../gossip/core/member.js';
import type { NodeTags } from './tags.js';

const STATES = {
  alive: GossipState.ALIVE,
  suspect: GossipState.SUSPECT,
  dead: GossipState.DEAD,
  left: GossipState.LEFT,
} as const satisfies Record<MemberState, GossipState>;

/** What a node that doesn't gossip says of it. */
export const NO_GOSSIP: DescribeGossipResponse = {
  ...{ running: false, address: '', awareness: 0, members: [] },
};

export function describeGossipMember(
  tags: NodeTags,
  state: MemberState,
  forMs: number,
): GossipMember {
  const { id, type, epoch, address, load } = tags;
  return {
    ...{ id, type, epoch, address, state: STATES[state] },
    stateMs: BigInt(Math.max(0, Math.round(forMs))),
    ...{ loadPercent: load.percent, work: load.work },
  };
}
