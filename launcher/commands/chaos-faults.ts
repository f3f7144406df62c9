import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { readArguments } from '../../runtime/arguments.js';
import { invalidArgument } from '../../runtime/errors.js';
import { formatDuration, parseDuration } from '../chaos/duration.js';
import { FaultKind, PASSING } from '../chaos/fault-kind.js';
import type { FaultPlan } from '../chaos/faults.js';
import { withLaboratory } from '../chaos/laboratory.js';
import type { Laboratory } from '../chaos/laboratory.js';
import { faultTable, isSpotless, runLines } from '../chaos/report-table.js';
import { resolveTargets, withChaos } from '../chaos/session.js';
import type { Target } from '../chaos/targets.js';
import { runTrial } from '../chaos/trial.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { healMembers, resumeMembers } from './chaos-heal.js';
import { withExamples } from './examples.js';

export interface TrialCommandOptions {
  readonly for?: number;
  /** False with `--no-load`. */
  readonly load: boolean;
  /** Runs a second. */
  readonly runs: number;
  readonly json?: boolean;
}

interface LinkOptions extends TrialCommandOptions {
  readonly from?: string;
  readonly oneWay?: boolean;
  /** Bits a second. */
  readonly rate?: number;
  readonly delay?: number;
  readonly loss?: number;
}

/** Longest time of each run of the load, ms. */
const BUDGET_MS = 15_000;
const DEFAULT_RUNS = 40;
const LEAST_PATIENCE_MS = 15_000;

export function addChaosFaults(chaos: Command, context: CommandContext): void {
  const add = (kind: FaultKind, what: string, example: string): Command => {
    const command = chaos
      .command(kind)
      .description(what)
      .argument('<member...>', 'member, server of ZooKeeper or leader:TYPE')
      .option('--no-load', 'without runs meanwhile')
      .option('--runs <n>', 'runs a second meanwhile', number(1, 1000), DEFAULT_RUNS)
      .option('--json', 'print one JSON object');
    withExamples(command, [[`./datacenter chaos ${kind} ${example}`, what]]);
    return command;
  };
  const lasting = (command: Command): Command =>
    command.option('--for <time>', 'heal it after that long: 500ms, 5s, 2m', duration);
  const simple = (kind: Exclude<FaultKind, 'slow' | 'partition'>, command: Command): void => {
    command.action((words: string[], options: TrialCommandOptions) =>
      trial(context, words, { kind }, options),
    );
  };
  simple('kill', add('kill', 'end it by SIGKILL; the launcher starts it again', 'leader:storage'));
  simple('pause', lasting(add('pause', 'freeze it by SIGSTOP', 'storage-1 --for 5s')));
  simple('expire-session', add('expire-session', 'end its session at the coordinator', 'math-1'));
  simple(
    'fill-disk',
    lasting(add('fill-disk', 'fail all it writes to files', 'storage-1 --for 2s')),
  );
  addSlow(context, lasting(add('slow', 'make its link worse', 'cnn-1 --rate 1mbit --loss 5%')));
  addPartition(context, lasting(add('partition', 'cut its link', 'storage-1 --from zookeeper')));
  addHeals(chaos, context);
}

function addSlow(context: CommandContext, command: Command): void {
  command
    .option('--rate <rate>', 'bits a second each way, such as 1mbit', rate)
    .option('--delay <time>', 'added to what it sends, such as 50ms', duration)
    .option('--loss <share>', 'packets that are dropped, such as 5%', share)
    .action((words: string[], options: LinkOptions) => {
      const { rate: bitsPerSecond, delay: delayMs, loss } = options;
      if (bitsPerSecond === undefined && delayMs === undefined && loss === undefined)
        throw invalidArgument('slow', 'give at least one of --rate, --delay and --loss');
      const how = { bitsPerSecond, delayMs, loss };
      return trial(context, words, { kind: FaultKind.slow, how }, options);
    });
}

function addPartition(context: CommandContext, command: Command): void {
  command
    .option('--from <parties>', 'nodes, zookeeper, clients, or members (default: all others)')
    .option('--one-way', 'drop only what it sends')
    .action((words: string[], options: LinkOptions) => {
      const { oneWay } = options;
      const from = options.from?.split(',').filter((one) => one !== '');
      return trial(context, words, { kind: FaultKind.partition, from, oneWay }, options);
    });
}

function addHeals(chaos: Command, context: CommandContext): void {
  const resume = chaos
    .command('resume')
    .description('let a member go on that was paused')
    .argument('<member...>', 'member or server of ZooKeeper')
    .option('--json', 'print one JSON object')
    .action((words: string[], { json = false }: { json?: boolean }) =>
      resumeMembers(context, words, json),
    );
  withExamples(resume, [['./datacenter chaos resume storage-1', 'SIGCONT']]);
  const heal = chaos
    .command('heal')
    .description('undo what was done to members: pauses, full disks, faults of links')
    .argument('[member...]', 'default: all')
    .option('--json', 'print one JSON object')
    .action((words: string[], { json = false }: { json?: boolean }) =>
      healMembers(context, words, json),
    );
  withExamples(heal, [['./datacenter chaos heal', 'whatever it was']]);
}

async function trial(
  context: CommandContext,
  words: readonly string[],
  plan: FaultPlan,
  options: TrialCommandOptions,
): Promise<void> {
  const { terminal, interruption } = context;
  interruption.handle();
  const { signal } = interruption;
  try {
    await withChaos(context, async (session) => {
      const targets = await resolveTargets(session, words);
      const { sessionTimeoutMs } = session.running.coordinator;
      const laboratory = await withLaboratory(
        context,
        session,
        {
          ...{ what: plan.kind, command: readArguments().join(' '), budgetMs: BUDGET_MS, signal },
          ratePerSecond: options.load ? options.runs : 0,
          keeps: options.for === undefined,
        },
        (set) => {
          tellCourse(terminal, set, options.for);
          return runTrial(set, plan, targets, {
            ...{ forMs: options.for, sessionTimeoutMs, signal },
            patienceMs: Math.max(LEAST_PATIENCE_MS, 3 * sessionTimeoutMs),
          });
        },
      );
      terminal.moving('');
      const { book, experiment } = laboratory;
      const tally = book.tally();
      if (options.json)
        terminal.printJson({ experiment: experiment.name, faults: book.faults(), runs: tally });
      else {
        terminal.print(faultTable(book.faults()));
        terminal.print(`\n${runLines(tally, book.failover())}`);
      }
      tellStanding(terminal, plan, targets, options.for);
      if (!isSpotless(tally)) throw new ExitRequest(ExitCode.failed);
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    terminal.note('stopped; what was done is undone');
    throw new ExitRequest(interruption.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.failed);
  }
}

/** What has been done while it has its effects: they take some seconds. */
function tellCourse(
  terminal: CommandContext['terminal'],
  { experiment }: Laboratory,
  forMs: number | undefined,
): void {
  const names = new Map<number, string>();
  const tell = (text: string): void => {
    terminal.progress(`${text}; waiting until all that it leads to is seen`);
  };
  experiment.onEvent((event) => {
    if (event.event === 'fault') {
      const lasts = forMs === undefined ? '' : ` for ${formatDuration(forMs)}`;
      names.set(event.fault, event.target);
      tell(`${event.target}: ${event.kind}${PASSING.has(event.kind) ? '' : lasts}`);
    } else if (event.event === 'healed') tell(`${names.get(event.fault) ?? ''} is healed`);
  });
}

/** What lasts until somebody ends it is not to be forgotten. */
function tellStanding(
  terminal: CommandContext['terminal'],
  { kind }: FaultPlan,
  targets: readonly Target[],
  forMs: number | undefined,
): void {
  if (forMs !== undefined || PASSING.has(kind)) return;
  const names = targets.map(({ name }) => name);
  terminal.note(
    `still in force: ${kind} of ${names.join(', ')}; ./datacenter chaos heal ${names.join(' ')} ends it`,
  );
}

/** Reads a time of a command line, ms. */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= 86_400_000) return ms;
  throw new InvalidArgumentError('it has to be a time such as 500ms, 5s, 2m.');
}

/** Reads a number between two. */
export function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= least && value <= most) return value;
    throw new InvalidArgumentError(
      `it has to be a number from ${String(least)} to ${String(most)}.`,
    );
  };
}

const RATE_UNITS: Readonly<Record<string, number>> = { kbit: 1e3, mbit: 1e6, gbit: 1e9 };

/** Whether it is too much or too little is said by who shapes the link. */
function rate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]bit)$/i.exec(text.trim());
  const unit = RATE_UNITS[(match?.[2] ?? '').toLowerCase()];
  if (match && unit !== undefined) return Number(match[1]) * unit;
  throw new InvalidArgumentError('it has to be a rate such as 64kbit or 1mbit.');
}

function share(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim());
  const value = match && Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (value && value <= 1) return value;
  throw new InvalidArgumentError('it has to be a share above 0 and up to 1, such as 5%.');
}
