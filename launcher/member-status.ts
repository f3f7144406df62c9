import { leaderOf } from '../zookeeper/coordinator.js';
import type { Member } from '../zookeeper/coordinator.js';
import type { GossipWord } from './gossip-views.js';
import type { HealthProbe, MemberState } from './health-probe.js';
import { formatTable } from './table.js';

/** One member as `status` shows it. */
export interface MemberStatus {
  readonly id: string;
  readonly type: string;
  readonly address: string;
  readonly pid: number;
  readonly leader: boolean;
  /** Decimal text: 64 bits don't fit into a JSON number. "0" = not registered. */
  readonly epoch: string;
  readonly state: MemberState;
  /** How it is by gossip; absent where nobody gossips. */
  readonly gossip?: GossipWord;
  /** host:port where it gossips: an agent of Serf joins there. */
  readonly gossipAddress?: string;
}

/** A node process that the launcher knows of. */
export interface KnownProcess {
  readonly name: string;
  readonly pid: number;
  /** How it is while it is not registered. Default STARTING. */
  readonly state?: MemberState;
}

/** Members as the coordinator has them, each asked how it is; behind them the processes that have not registered. */
export async function memberStatuses(
  members: readonly Member[],
  probe: HealthProbe,
  options: { readonly timeoutMs: number; readonly processes: readonly KnownProcess[] },
): Promise<MemberStatus[]> {
  const states = await Promise.all(
    members.map((member) => probe.check(member.address, options.timeoutMs)),
  );
  const registered = members.map((member, index) =>
    describeMember(member, members, states[index] ?? 'UNREACHABLE'),
  );
  const ids = new Set(members.map(({ id }) => id));
  const waiting = options.processes
    .filter(({ name }) => !ids.has(name))
    .map(({ name, pid, state = 'STARTING' }): MemberStatus => {
      const type = name.replace(/-\d+$/, '');
      return { id: name, type, address: '', pid, leader: false, epoch: '0', state };
    });
  return [...registered, ...waiting];
}

export function describeMember(
  member: Member,
  members: readonly Member[],
  state: MemberState,
): MemberStatus {
  const { id, type, address, pid, epoch, gossipAddress } = member;
  const leader = leaderOf(members, type) === member;
  const status = { id, type, address, pid, leader, epoch: String(epoch), state };
  return gossipAddress === undefined ? status : { ...status, gossipAddress };
}

/** The table that `up` and `status` show; where nodes gossip with what they say of each other. */
export function memberTable(statuses: readonly MemberStatus[]): string {
  const gossips = statuses.some(({ gossip }) => gossip !== undefined);
  const rows = statuses.map(({ id, type, address, leader, epoch, pid, state, gossip = '-' }) => [
    id,
    type,
    address === '' ? '-' : address,
    leader ? 'leader' : '',
    epoch === '0' ? '-' : epoch,
    String(pid),
    state,
    ...(gossips ? [gossip] : []),
  ]);
  const header = ['MEMBER', 'TYPE', 'ADDRESS', 'LEADER', 'EPOCH', 'PID', 'STATE'];
  return formatTable(gossips ? [...header, 'GOSSIP'] : header, rows);
}
