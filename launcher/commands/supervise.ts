import type { Command } from 'commander';

import { createLogger } from '../../runtime/logger.js';
import type { CommandContext } from '../command-context.js';
import { chooseCoordination } from '../coordination-choice.js';
import { DataCenterRun } from '../data-center-run.js';
import type { StartMessage } from '../detached-start.js';
import { describeFailure } from '../failure-text.js';
import { exitCodeOf, ExitRequest } from '../exit-codes.js';
import { isSecond } from '../folder-claim.js';
import { LAUNCHER } from '../launcher-log.js';
import { makeDataCenterNetwork } from '../network/data-center-network.js';
import type { PrivateNetwork } from '../network/private-network.js';
import { bothReporters, logReporter } from '../reporter.js';
import type { Reporter } from '../reporter.js';
import { stateFolderFailure } from '../state-folder-failure.js';
import { seconds } from './up.js';

interface SuperviseOptions {
  readonly config: string;
  readonly zookeeper: boolean;
  readonly timeout: number;
  /** Mount namespace of the process that started this one in private namespaces. */
  readonly outside?: string;
}

/** The launcher in the background, which `up --detach` starts; hidden, because people have no use for it. */
export function addSupervise(program: Command, context: CommandContext): void {
  program
    .command('supervise', { hidden: true })
    .requiredOption('--config <file>')
    .option('--no-zookeeper')
    .option('--timeout <seconds>', '', seconds, 60)
    .option('--outside <namespace>')
    .action((options: SuperviseOptions) => supervise(context, options));
}

async function supervise(context: CommandContext, options: SuperviseOptions): Promise<void> {
  const { interruption, terminal } = context;
  interruption.handle();
  const logger = createLogger({ fields: { member: LAUNCHER } });
  const log = logReporter(logger);
  const stopAsked = (): void => {
    interruption.ask('SIGTERM');
  };
  // Whoever waits for the start is gone: then nobody wants it.
  process.once('disconnect', stopAsked);
  let run: DataCenterRun | undefined;
  let network: PrivateNetwork | undefined;
  try {
    const config = await context.config(options.config);
    if (options.outside !== undefined)
      network = await makeDataCenterNetwork(options.outside, context.places);
    run = new DataCenterRun({
      network,
      ...{ config, interruption, detached: true, startTimeoutMs: options.timeout * 1000 },
      coordination: await chooseCoordination(config, {
        ...{ embedded: !options.zookeeper, log: logger, network },
      }),
      reporter: bothReporters(log, parentReporter()),
    });
    const statuses = await run.start();
    process.off('disconnect', stopAsked);
    log.note('everything serves');
    await tellParent({ kind: 'serving', statuses });
    await interruption.asked();
    await run.stop();
    await network?.[Symbol.asyncDispose]();
    log.note('everything is stopped');
  } catch (thrown) {
    const error = stateFolderFailure(thrown, context.places.statePath) ?? thrown;
    const text = describeFailure(error, terminal.errorColours);
    // The log is that of the data center that runs.
    if (!isSecond(error)) log.warn(text);
    await run?.stop();
    await network?.[Symbol.asyncDispose]();
    process.off('disconnect', stopAsked);
    const exitCode = exitCodeOf(error);
    const interrupted = interruption.signal.aborted && error === interruption.signal.reason;
    await tellParent({ kind: 'failed', text, exitCode, interrupted });
    throw new ExitRequest(exitCode);
  }
}

/** Resolves when the message is on its way, or when nobody listens any more. */
function tellParent(message: StartMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected || !process.send) resolve();
    else
      process.send(message, undefined, undefined, () => {
        resolve();
      });
  });
}

function parentReporter(): Reporter {
  const tell = (kind: 'note' | 'warn' | 'progress') => (text: string) => {
    void tellParent({ kind, text });
  };
  return { note: tell('note'), warn: tell('warn'), progress: tell('progress') };
}
