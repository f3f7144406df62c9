import type { MemberStatus } from '../../launcher/member-status.js';
import type { LiveDataCenter } from './live-data-center.js';

/** What `status` says of a data center whose nodes gossip. */
export interface GossipStatus {
  readonly members: readonly MemberStatus[];
  readonly gossip: { readonly answered: number; readonly differences: readonly string[] };
}

/** Asks `status` again until it is so. */
export async function gossipStatusWhen(
  dataCenter: LiveDataCenter,
  isSo: (status: GossipStatus) => boolean,
  signal: AbortSignal,
): Promise<GossipStatus> {
  for (;;) {
    const status = await dataCenter.json<GossipStatus>('status');
    if (isSo(status)) return status;
    if (signal.aborted) throw new Error(JSON.stringify(status));
  }
}

/** How a member is by gossip. */
export const gossipOf = ({ members }: GossipStatus, id: string): string | undefined =>
  members.find((member) => member.id === id)?.gossip;
