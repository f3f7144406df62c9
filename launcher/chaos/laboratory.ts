import { setMaxListeners } from 'node:events';

import { FractoryError } from '../../runtime/errors.js';
import type { CommandContext } from '../command-context.js';
import { prepareAnswers } from './answers.js';
import { checkEnds } from './end-check.js';
import type { Began } from './events.js';
import { Experiment, experimentName } from './experiment.js';
import { Faults } from './faults.js';
import { Load } from './load.js';
import { MeasureBook } from './measures.js';
import { Observer } from './observer.js';
import { OutputCheck } from './output-check.js';
import { RunClient } from './run-client.js';
import { serverServes } from './session.js';
import type { ChaosSession } from './session.js';
import { StoredFiles } from './stored-files.js';
import { memberTarget } from './targets.js';
import { possibleWorkloads } from './workloads.js';

export interface LaboratoryOptions {
  /** Ends its name: `kill`, `monkey`. */
  readonly what: string;
  /** As it was typed. */
  readonly command: string;
  readonly seed?: number;
  /** Runs a second; 0 = no load. */
  readonly ratePerSecond: number;
  readonly budgetMs: number;
  /** What is still broken when `use` is over stays so, unless it was interrupted. Default false. */
  readonly keeps?: boolean;
  readonly signal: AbortSignal;
}

/** An experiment with all that belongs to it: who watches, what breaks, and the load meanwhile. */
export interface Laboratory {
  readonly experiment: Experiment;
  /** Adds up as things happen. */
  readonly book: MeasureBook;
  readonly faults: Faults;
  /** Absent where nothing runs. */
  readonly load: Load | undefined;
  /** Kinds of runs under way. */
  readonly kinds: readonly string[];
}

/** Sets up, lets `use` work and cleans up: faults are healed, runs end, what they wrote is checked. */
export async function withLaboratory(
  context: CommandContext,
  session: ChaosSession,
  options: LaboratoryOptions,
  use: (laboratory: Laboratory) => Promise<void>,
): Promise<Laboratory> {
  const { terminal } = context;
  const { signal } = options;
  // As many runs as there are hear of it.
  setMaxListeners(0, signal);
  const { coordinator, calls, probe, statePath } = session;
  const client = new RunClient(coordinator, calls);
  const files = new StoredFiles(coordinator, calls);
  const began = beganOf(session, options);
  const { experiment: prefix } = began;
  const possible = options.ratePerSecond > 0 ? possibleWorkloads(typesOf(session)) : [];
  const prepared = await prepareAnswers(
    possible,
    { client, files },
    {
      ...{ prefix, signal },
      onLeftOut: (text) => {
        terminal.warn(text);
      },
    },
  );
  const workloads = prepared.map(({ workload: { kind, uses } }) => ({ kind, uses: [...uses] }));
  await using experiment = await Experiment.begin(statePath, { ...began, workloads });
  const book = new MeasureBook();
  for (const event of experiment.events) book.add(event);
  experiment.onEvent((event) => {
    book.add(event);
  });
  using observer = new Observer(experiment, {
    ...{ coordinator, probe, calls },
    serverServes: (name) => serverServes(session, name),
  });
  const { processes, links } = session;
  const faults = new Faults(experiment, { processes, links, observer });
  const outputs = new OutputCheck(experiment, files, { keeps: options.keeps ?? false });
  const load = new Load(
    experiment,
    { client, outputs },
    {
      ...{ prepared, signal, ratePerSecond: options.ratePerSecond, budgetMs: options.budgetMs },
      diskFullSince: (atMs) => faults.diskFullSince(atMs),
    },
  );
  const laboratory = {
    ...{ experiment, book, faults, load: prepared.length > 0 ? load : undefined },
    kinds: workloads.map(({ kind }) => kind),
  };
  const checking = outputs.work(signal);
  checking.catch(() => undefined);
  try {
    if (laboratory.load) await warmUp(laboratory, signal);
    await use(laboratory);
  } finally {
    if (!options.keeps || signal.aborted) await faults.healAll();
    await load.stop();
    if (signal.aborted) await tidyUp(files, `${prefix}.`);
  }
  outputs.finish();
  await checking;
  if (laboratory.load) {
    await outputs.leftovers(`${prefix}.`, signal);
    if (!options.keeps) await checkEnds(experiment, coordinator, calls);
  }
  experiment.record({ event: 'ended' });
  return laboratory;
}

const WARM_UP_TIMEOUT_MS = 20_000;
const WARM_RUNS = 10;

/** Until some runs have succeeded. */
async function warmUp({ experiment, book, load }: Laboratory, signal: AbortSignal): Promise<void> {
  load?.start();
  await experiment.until(() => book.tally().succeeded >= WARM_RUNS, WARM_UP_TIMEOUT_MS, signal);
  signal.throwIfAborted();
}

const TIDY_UP_TIMEOUT_MS = 5000;

/** After an interruption nobody looks at what the runs wrote; what can be removed soon is. */
async function tidyUp(files: StoredFiles, prefix: string): Promise<void> {
  const signal = AbortSignal.timeout(TIDY_UP_TIMEOUT_MS);
  try {
    for (const { name } of await files.list(prefix, signal)) await files.delete(name, signal);
  } catch (error) {
    if (!signal.aborted && !(error instanceof FractoryError)) throw error;
  }
}

function beganOf({ running, coordinator }: ChaosSession, options: LaboratoryOptions): Began {
  const { what, command, seed } = options;
  const now = new Date();
  const members = coordinator.members();
  return {
    event: 'began',
    experiment: experimentName(what, now),
    command,
    startedAt: now.toISOString(),
    dataCenter: running.config.name,
    coordinator: running.coordinator.kind,
    sessionTimeoutMs: running.coordinator.sessionTimeoutMs,
    ...(seed !== undefined && { seed }),
    members: members.map((member) => ({
      ...{ member: member.id, type: member.type, epoch: String(member.epoch) },
      leader: memberTarget(member, members).leader,
    })),
    workloads: [],
  };
}

function typesOf({ coordinator }: ChaosSession): ReadonlySet<string> {
  return new Set(coordinator.members().map(({ type }) => type));
}
