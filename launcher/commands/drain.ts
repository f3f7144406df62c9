import { status } from '@grpc/grpc-js';
import type { Command } from 'commander';

import { readSecret } from '../../config/node.js';
import { FractoryError } from '../../runtime/errors.js';
import { closest } from '../../runtime/suggestion.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { CommandContext } from '../command-context.js';
import { ControlClient } from '../control/control-client.js';
import { knownNodes } from '../control/known-nodes.js';
import { drainNode } from '../control/node-drain.js';
import { findRunning, withCoordinator } from '../running-data-center.js';
import type { RunningDataCenter } from '../running-data-center.js';
import { withExamples } from './examples.js';
import { seconds } from './up.js';

interface DrainOptions {
  readonly grace?: number;
  readonly json?: boolean;
}

/** What a drain takes beside the grace period, ms. */
const CALL_SLACK_MS = 8000;

export function addDrain(program: Command, context: CommandContext): void {
  const command = program
    .command('drain')
    .description('have a member leave, and finish what it has begun; it stays up until restarted')
    .argument('<member>', 'such as storage-1; also one that was started by hand')
    .option('--grace <seconds>', 'how long it may take (default: shutdown_grace_ms)', seconds)
    .option('--json', 'print one JSON object')
    .action((member: string, options: DrainOptions) => drain(context, member, options));
  withExamples(command, [
    [
      './datacenter drain math-1',
      'it gets no new work; ./datacenter restart math-1 brings it back',
    ],
  ]);
}

async function drain(context: CommandContext, id: string, options: DrainOptions): Promise<void> {
  const { terminal } = context;
  const running = await findRunning(context);
  const startedAtMs = performance.now();
  if (await isDrained(running, id)) {
    if (options.json) terminal.printJson({ member: id, left: 0, elapsedMs: 0 });
    else terminal.note(`${id} is drained already; ./datacenter restart ${id} brings it back`);
    return;
  }
  const { members, left } = await withCoordinator(running, async (coordinator) => ({
    members: coordinator.members(),
    left: await drained(running, id, coordinator.members(), options),
  }));
  const elapsedMs = Math.round(performance.now() - startedAtMs);
  if (options.json) {
    terminal.printJson({ member: id, left, elapsedMs });
    return;
  }
  const rest =
    left === 0 ? 'nothing is under way there' : `${String(left)} operations are still under way`;
  terminal.note(`${id} has left after ${String(elapsedMs)} ms; ${rest}`);
  warnOfLast(terminal.note.bind(terminal), id, members);
}

async function isDrained({ record }: RunningDataCenter, id: string): Promise<boolean> {
  return (await knownNodes(record)).some(({ name, state }) => name === id && state === 'DRAINED');
}

/** By its launcher, which remembers it; a node of another launcher is asked directly. */
async function drained(
  running: RunningDataCenter,
  id: string,
  members: readonly Member[],
  { grace }: DrainOptions,
): Promise<number> {
  const { config, record } = running;
  const graceMs = (grace ?? 0) * 1000 || config.limits.shutdown_grace_ms;
  if (record?.control !== undefined && record.processes.some(({ name }) => name === id)) {
    using control = new ControlClient(record.control);
    return (await control.drain({ member: id, graceMs }, graceMs + CALL_SLACK_MS)).left;
  }
  const member = members.find((one) => one.id === id);
  if (!member) throw unknownMember(id, members);
  const secret = await readSecret(config.places.statePath);
  return drainNode(member.address, { security: config.security, secret, graceMs });
}

function unknownMember(id: string, members: readonly Member[]): FractoryError {
  const ids = members.map((member) => member.id).sort();
  const near = closest(id, ids);
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  const text = `there is no member ${id}${hint}; there are ${ids.join(', ')}`;
  return new FractoryError(status.NOT_FOUND, 'NO_MEMBER', text);
}

function warnOfLast(note: (text: string) => void, id: string, before: readonly Member[]): void {
  const type = before.find((member) => member.id === id)?.type;
  if (type === undefined || before.some((member) => member.type === type && member.id !== id))
    return;
  note(`it was the only ${type} node: what needs one waits until it is restarted`);
}
