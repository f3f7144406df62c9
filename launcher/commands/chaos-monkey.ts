import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { readArguments } from '../../runtime/arguments.js';
import { formatDuration } from '../chaos/duration.js';
import { FAULT_KINDS } from '../chaos/fault-kind.js';
import type { FaultKind } from '../chaos/fault-kind.js';
import { withLaboratory } from '../chaos/laboratory.js';
import type { Laboratory } from '../chaos/laboratory.js';
import { runMonkey } from '../chaos/monkey.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import { monkeySummary } from '../chaos/report.js';
import { faultTable, isSpotless, runLines } from '../chaos/report-table.js';
import { allWell, withChaos } from '../chaos/session.js';
import type { ChaosSession } from '../chaos/session.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { duration, number } from './chaos-faults.js';
import { withExamples } from './examples.js';

interface MonkeyCommandOptions {
  readonly for: number;
  readonly every: number;
  readonly seed?: number;
  readonly faults?: readonly FaultKind[];
  readonly spare?: readonly string[];
  readonly runs: number;
  readonly budget: number;
  readonly json?: boolean;
}

const MINUTE_MS = 60_000;
const SECOND_MS = 1000;
const DEFAULT_RUNS = 20;
const DEFAULT_BUDGET_MS = 30_000;
/** How long everybody may take to be well again at the end, ms. */
const RECOVERY_MS = 30_000;
const MAX_SEED = 2 ** 32 - 1;
const ON_LINKS: ReadonlySet<FaultKind> = new Set(['slow', 'partition']);

const ABOUT = `
A stream of image-prediction and shift-left runs goes on meanwhile, every second one durable, each with an answer that is known: it has to end once, with that
answer in storage, or fail for a reason that is true. Ends with {"runs", "succeeded", "failed", "lost", "doubled", "wrong", "failoverMs"}; the exit code is 1
unless lost, doubled and wrong are 0. One fault hits one member; never more of ZooKeeper's servers than leave a majority. The seed decides who is hit how, as
far as the same members are there at the same moments.`;

export function addChaosMonkey(chaos: Command, context: CommandContext): void {
  const command = chaos
    .command('monkey')
    .description('do random faults, each with its heal, while runs go on and are checked')
    .option('--for <time>', 'how long', duration, MINUTE_MS)
    .option('--every <time>', 'one fault each', duration, SECOND_MS)
    .option('--seed <n>', 'same seed, same choices', number(0, MAX_SEED))
    .option('--faults <kinds>', `some of ${FAULT_KINDS.join(', ')}`, kindsOf)
    .option('--spare <members>', 'members that are never killed', names)
    .option('--runs <n>', 'runs a second', number(0, 1000), DEFAULT_RUNS)
    .option('--budget <time>', 'longest time of each run', duration, DEFAULT_BUDGET_MS)
    .option('--json', 'print one JSON object')
    .action((options: MonkeyCommandOptions) => monkey(context, options));
  command.addHelpText('after', ABOUT);
  withExamples(command, [
    ['./datacenter chaos monkey', 'for a minute, a fault each second'],
    [
      './datacenter chaos monkey --for 60s --every 1s --seed 7 --json',
      '{"runs": ..., "lost": 0, ...}',
    ],
    ['./datacenter chaos monkey --faults kill,pause', 'only these'],
  ]);
}

async function monkey(context: CommandContext, options: MonkeyCommandOptions): Promise<void> {
  const { terminal, interruption } = context;
  interruption.handle();
  const { signal } = interruption;
  const seed = options.seed ?? Math.floor(Math.random() * MAX_SEED);
  terminal.note(`seed ${String(seed)}`);
  try {
    const { book, experiment } = await withChaos(context, (session) =>
      withLaboratory(
        context,
        session,
        {
          ...{ what: 'monkey', command: readArguments().join(' '), seed, signal },
          ...{ ratePerSecond: options.runs, budgetMs: options.budget },
        },
        (laboratory) => play(context, session, laboratory, { ...options, seed }),
      ),
    );
    const tally = book.tally();
    if (options.json) terminal.printJson(monkeySummary(book));
    else {
      terminal.print(faultTable(book.faults()));
      terminal.print(`\n${runLines(tally, book.failover())}`);
      terminal.note(`./datacenter chaos report ${experiment.name} --svg FILE draws it`);
    }
    if (!isSpotless(tally)) throw new ExitRequest(ExitCode.failed);
  } catch (error) {
    if (!signal.aborted) throw error;
    terminal.note('stopped; what was done is undone');
    throw new ExitRequest(interruption.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.failed);
  }
}

async function play(
  { terminal, interruption: { signal } }: CommandContext,
  session: ChaosSession,
  laboratory: Laboratory,
  options: MonkeyCommandOptions & { readonly seed: number },
): Promise<void> {
  const { book, experiment } = laboratory;
  await runMonkey(session, laboratory, {
    ...{ forMs: options.for, everyMs: options.every, signal },
    random: seededRandom(options.seed),
    kinds: await possibleKinds(session, options.faults),
    spared: new Set(options.spare),
    sessionTimeoutMs: session.running.coordinator.sessionTimeoutMs,
    onMove: ({ plan, target }, leftMs) => {
      const { runs, succeeded } = book.tally();
      terminal.progress(
        `${String(Math.ceil(leftMs / 1000))} s left; ${String(succeeded)} of ${String(runs)} runs succeeded; ${plan.kind} ${target.name}`,
      );
    },
  });
  terminal.moving('');
  if (!(await allWell(session, RECOVERY_MS, signal)) && !signal.aborted) {
    const text = `not all members serve ${formatDuration(RECOVERY_MS)} after the last fault`;
    terminal.warn(text);
    experiment.record({ event: 'note', text });
  }
}

/** Without a choice: all that can be done here. */
async function possibleKinds(
  session: ChaosSession,
  chosen: readonly FaultKind[] | undefined,
): Promise<readonly FaultKind[]> {
  if (chosen?.some((kind) => ON_LINKS.has(kind))) await session.links();
  if (chosen) return chosen;
  const linked = await session.links().then(
    () => true,
    () => false,
  );
  return FAULT_KINDS.filter((kind) => linked || !ON_LINKS.has(kind));
}

function kindsOf(text: string): readonly FaultKind[] {
  return names(text).map((name) => {
    const kind = FAULT_KINDS.find((one) => one === name);
    if (kind) return kind;
    throw new InvalidArgumentError(`${name} is no fault; there are ${FAULT_KINDS.join(', ')}.`);
  });
}

function names(text: string): readonly string[] {
  return text.split(',').filter((name) => name !== '');
}
