import { status } from '@grpc/grpc-js';
import type { Command } from 'commander';

import { unlessAborted } from '../../runtime/deadline.js';
import { FractoryError } from '../../runtime/errors.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { cleanUp } from '../folder-claim.js';
import { HandNodes } from '../hand-nodes.js';
import { endProcesses, waitUntilGone } from '../process-ending.js';
import { signalProcess } from '../process-identity.js';
import { terminalReporter } from '../reporter.js';
import { RunFile } from '../run-file.js';
import type { RunRecord } from '../run-file.js';
import { withExamples } from './examples.js';

/** Longest orderly stop of everything, ms; then the launcher is killed and cleaned up after. */
const STOP_TIMEOUT_MS = 60_000;
const NODE_GRACE_MS = 10_000;

export function addDown(program: Command, context: CommandContext): void {
  const command = program
    .command('down')
    .description('stop the data center of this folder, also nodes started by hand')
    .action(() => down(context));
  withExamples(command, [['./datacenter down', 'returns when no process is left']]);
}

/** The launcher has been asked to stop: from now on Ctrl-C ends the waiting, not the stop. */
async function unlessInterrupted(
  { terminal, interruption }: CommandContext,
  stopping: Promise<void>,
): Promise<void> {
  interruption.handle();
  try {
    await unlessAborted(stopping, interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    terminal.note('it goes on stopping in the background; ./datacenter down waits for it again');
    throw new ExitRequest(interruption.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.failed);
  }
}

async function down(context: CommandContext): Promise<void> {
  const { terminal, places } = context;
  const runFile = new RunFile(places.statePath);
  const hand = await new HandNodes(places.statePath).stopAll(NODE_GRACE_MS);
  if (hand.length > 0) terminal.note(`stopped ${hand.join(', ')}`);
  const found = await runFile.read();
  switch (found.state) {
    case 'none':
      if (hand.length === 0) terminal.note(`no data center is running in ${places.statePath}`);
      return;
    case 'stale':
      await cleanUp(runFile, found.record, terminalReporter(terminal));
      return;
    case 'running':
      terminal.progress(`stopping the data center (pid ${String(found.record.launcher.pid)})`);
      await signalProcess(found.record.launcher, 'SIGTERM');
      await unlessInterrupted(context, launcherStopped(found.record, runFile));
      terminal.note('everything is stopped');
  }
}

async function launcherStopped(record: RunRecord, runFile: RunFile): Promise<void> {
  const stopped = await waitUntilGone(record.launcher, STOP_TIMEOUT_MS);
  if (!stopped) await signalProcess(record.launcher, 'SIGKILL');
  // Nothing is left of an orderly stop; after a kill there may be.
  const left = await endProcesses(record.processes, NODE_GRACE_MS);
  if (stopped && left === 0) return;
  const now = await runFile.read();
  if (now.state === 'stale') await runFile.remove();
  throw new FractoryError(
    status.ABORTED,
    'STOPPED_BY_FORCE',
    `the launcher (pid ${String(record.launcher.pid)}) did not stop in order; it and ` +
      `${String(left)} processes that it left behind were ended`,
  );
}
