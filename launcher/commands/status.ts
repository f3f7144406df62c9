import type { Command } from 'commander';

import type { CommandContext } from '../command-context.js';
import { knownNodes } from '../control/known-nodes.js';
import { gossipReport } from '../gossip-views.js';
import type { GossipReport } from '../gossip-views.js';
import { HealthProbe } from '../health-probe.js';
import { memberStatuses, memberTable } from '../member-status.js';
import type { MemberStatus } from '../member-status.js';
import { NodeCalls } from '../node-calls.js';
import { findRunning, withCoordinator } from '../running-data-center.js';
import type { RunningDataCenter } from '../running-data-center.js';
import { withExamples } from './examples.js';

const PROBE_TIMEOUT_MS = 1000;
/** What they are called in sentences. */
const COORDINATORS = { zookeeper: 'ZooKeeper', embedded: 'the coordinator' } as const;

export function addStatus(program: Command, context: CommandContext): void {
  const command = program
    .command('status')
    .description('show the members, their leaders and how they are')
    .option('--json', 'print one JSON object')
    .action((options: { readonly json?: boolean }) => status(context, options.json ?? false));
  withExamples(command, [
    ['./datacenter status', 'a table'],
    ['./datacenter status --json', '{"coordinator": ..., "members": [...]}'],
  ]);
}

async function status(context: CommandContext, json: boolean): Promise<void> {
  const { terminal } = context;
  const running = await findRunning(context);
  const { members, gossip } = await lookAt(running);
  const { kind, connect } = running.coordinator;
  if (json) {
    terminal.printJson({ coordinator: kind, members, ...(gossip && { gossip: plain(gossip) }) });
    return;
  }
  terminal.note(`data center ${running.config.name}, coordinator ${kind} at ${connect}\n`);
  terminal.print(memberTable(members));
  if (gossip && gossip.differences.length > 0)
    terminal.note(['', ...gossip.differences].join('\n'));
}

function plain({ asked, answered, differences }: GossipReport): Omit<GossipReport, 'words'> {
  return { asked, answered, differences };
}

/** The members as the coordinator has them, and how each says it is. */
export async function statusesOf(running: RunningDataCenter): Promise<MemberStatus[]> {
  return (await lookAt(running)).members;
}

interface Look {
  readonly members: MemberStatus[];
  /** Undefined where nobody gossips. */
  readonly gossip: GossipReport | undefined;
}

async function lookAt(running: RunningDataCenter): Promise<Look> {
  const { security } = running.config;
  const timeoutMs = PROBE_TIMEOUT_MS;
  using calls = new NodeCalls(security);
  const probe = new HealthProbe(security);
  try {
    const members = await withCoordinator(running, (coordinator) => coordinator.members());
    const processes = await knownNodes(running.record);
    const coordinator = COORDINATORS[running.coordinator.kind];
    const [statuses, gossip] = await Promise.all([
      memberStatuses(members, probe, { timeoutMs, processes }),
      gossipReport(members, calls, { timeoutMs, coordinator }),
    ]);
    if (!gossip) return { members: statuses, gossip };
    const told = statuses.map((one) => ({ ...one, gossip: gossip.words.get(one.id) ?? '-' }));
    return { members: told, gossip };
  } finally {
    probe.close();
  }
}
