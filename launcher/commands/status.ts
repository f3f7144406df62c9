import type { Command } from 'commander';

import type { CommandContext } from '../command-context.js';
import { knownNodes } from '../control/known-nodes.js';
import { HealthProbe } from '../health-probe.js';
import { memberStatuses, memberTable } from '../member-status.js';
import type { MemberStatus } from '../member-status.js';
import { findRunning, withCoordinator } from '../running-data-center.js';
import type { RunningDataCenter } from '../running-data-center.js';
import { withExamples } from './examples.js';

const PROBE_TIMEOUT_MS = 1000;

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
  const members = await statusesOf(running);
  const { kind, connect } = running.coordinator;
  if (json) {
    terminal.printJson({ coordinator: kind, members });
    return;
  }
  terminal.note(`data center ${running.config.name}, coordinator ${kind} at ${connect}\n`);
  terminal.print(memberTable(members));
}

/** The members as the coordinator has them, and how each says it is. */
export async function statusesOf(running: RunningDataCenter): Promise<MemberStatus[]> {
  const probe = new HealthProbe(running.config.security);
  try {
    const members = await withCoordinator(running, (coordinator) => coordinator.members());
    const processes = await knownNodes(running.record);
    return await memberStatuses(members, probe, { timeoutMs: PROBE_TIMEOUT_MS, processes });
  } finally {
    probe.close();
  }
}
