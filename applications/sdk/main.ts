import { status } from '@grpc/grpc-js';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';

import { readArguments, readCredentials } from '../../runtime/arguments.js';
import { cancelled, FractoryError, invalidArgument, messageOf } from '../../runtime/errors.js';
import { ExitCode, exitCodeOfRun } from '../../runtime/exit-codes.js';
import type { Application } from './application.js';
import { applicationNames, loadApplication } from './catalogue.js';
import { DataCenter } from './data-center.js';
import { runDemo } from './demo.js';
import type { OptionSpec } from './options.js';
import { answerAsJson, answerAsLines, failureAsJson, toJson } from './output.js';
import { PLAN_FORMATS, printedPlan } from './plan/formats.js';
import type { PlanFormat } from './plan/formats.js';
import { PlanReady } from './plan/plan.js';
import type { Plan } from './plan/plan.js';

/**
 * The process of an application: `main.js NAME --application-node host:port[,...] [--json] [--topology ring|star] [--durable] [--plan] [options]`,
 * `main.js demo ...` or `main.js --list [--json]`. Data goes to standard output, the rest to standard error.
 */

const data = (line: string): void => void process.stdout.write(`${line}\n`);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

// Whoever read our output has read enough: `./datacenter apps | head`.
process.stdout.on('error', () => process.exit(0));

interface CommonOptions {
  readonly applicationNode: string;
  readonly topology: 'ring' | 'star';
  /** Seconds for each run. */
  readonly budget: number;
  readonly json?: boolean;
  readonly durable?: boolean;
  /** Prints the graph of the first run instead of running it. */
  readonly plan?: boolean;
  readonly format?: PlanFormat;
}

async function main(): Promise<number> {
  const [name, ...rest] = readArguments();
  if (name === '--list') return list(rest.includes('--json'));
  if (name === undefined) {
    say('name an application; ./datacenter apps lists them');
    return ExitCode.usage;
  }
  try {
    return await runApplication(name, rest);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.ok;
    if (rest.includes('--json')) data(failureAsJson(error));
    return error instanceof CommanderError ? ExitCode.usage : tellFailure(error);
  }
}

async function list(asJson: boolean): Promise<number> {
  const names = await applicationNames();
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const applications: { name: string; summary: string }[] = [];
  for (const name of names) {
    const summary = await loadApplication(name).then(
      (application) => application.summary,
      messageOf,
    );
    applications.push({ name, summary });
  }
  if (asJson) data(toJson({ applications }));
  else for (const { name, summary } of applications) data(`${name.padEnd(width)}${summary}`);
  return ExitCode.ok;
}

async function runApplication(name: string, args: readonly string[]): Promise<number> {
  const application = name === 'demo' ? undefined : await loadApplication(name);
  const command = commandFor(name, application);
  command.parse(args, { from: 'user' });
  const given = command.opts<CommonOptions & Record<string, string | undefined>>();
  const options = readOptions(application?.options ?? {}, given);
  if (given.format !== undefined && !given.plan)
    throw invalidArgument('--format', 'is the format of a plan: it needs --plan');
  const interrupted = new AbortController();
  process.once('SIGINT', () => {
    interrupted.abort();
  });
  const dataCenter = new DataCenter({
    application: name,
    applicationNodes: given.applicationNode.split(','),
    credentials: readCredentials(),
    topology: given.topology,
    budgetMs: given.budget * 1000,
    signal: interrupted.signal,
    durable: given.durable ?? application?.durable ?? false,
    isPlanOnly: given.plan ?? false,
  });
  try {
    if (application && given.plan) {
      const plan = await firstPlan(application, { options, dataCenter });
      const format = given.format ?? (given.json ? 'json' : 'text');
      for (const line of printedPlan(plan, format)) data(line);
    } else if (application) {
      const answer = await application.run({ options, dataCenter, say });
      if (given.json) data(answerAsJson(name, answer));
      else for (const line of answerAsLines(answer)) data(line);
    } else await runDemo(dataCenter, given.json ?? false, { data, say });
    return ExitCode.ok;
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    say('cancelled');
    if (given.json) data(failureAsJson(cancelled()));
    return ExitCode.interrupted;
  } finally {
    dataCenter.close();
  }
}

/** Lets an application begin, up to its first run. What it says on the way is not true: nothing is written. */
async function firstPlan(
  application: Application,
  context: Pick<Parameters<Application['run']>[0], 'options' | 'dataCenter'>,
): Promise<Plan> {
  try {
    await application.run({ ...context, say: () => undefined });
  } catch (error) {
    if (error instanceof PlanReady) return error.plan;
    throw error;
  }
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'NO_RUN',
    'with these options the application runs no graph, so there is no plan',
  );
}

function commandFor(name: string, application: Application | undefined): Command {
  const command = new Command(`./datacenter run ${name}`)
    .description(application?.summary ?? 'Draws pictures and classifies them')
    .exitOverride()
    .showHelpAfterError('(--help shows the options)')
    .addOption(new Option('--application-node <addresses>').makeOptionMandatory().hideHelp())
    .addOption(
      new Option('--topology <topology>', 'how graphs run')
        .choices(['ring', 'star'])
        .default('ring'),
    )
    .addOption(
      new Option('--budget <seconds>', 'longest time of each run')
        .argParser(readSeconds)
        .default(DEFAULT_BUDGET_S),
    )
    .option('--durable', 'runs outlive their application node: they are written down first')
    .option('--json', 'answer with one JSON object; a failure is {"error": {...}}');
  if (application)
    command
      .option('--plan', 'print the graph of the first run, without running or writing anything')
      .addOption(
        new Option('--format <format>', 'how --plan prints it (default: text)').choices(
          PLAN_FORMATS,
        ),
      );
  for (const [key, option] of Object.entries(application?.options ?? {})) {
    const flag = new Option(`--${flagOf(key)} <${option.placeholder}>`, option.summary);
    if (option.defaultText !== undefined) flag.default(option.defaultText);
    else if (!option.isOptional) flag.makeOptionMandatory();
    command.addOption(flag);
  }
  return command;
}

const DEFAULT_BUDGET_S = 30;

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && Number.isFinite(seconds)) return seconds;
  throw new InvalidArgumentError('expected a number of seconds above 0.');
}

/** `topK` is typed as `--top-k`. */
function flagOf(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function readOptions(
  specs: Readonly<Record<string, OptionSpec<unknown>>>,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const problems: FractoryError[] = [];
  for (const [key, option] of Object.entries(specs)) {
    const text = given[key];
    try {
      values[key] = typeof text === 'string' ? option.read(text, flagOf(key)) : undefined;
    } catch (error) {
      if (!(error instanceof FractoryError)) throw error;
      problems.push(error);
    }
  }
  const [first, ...others] = problems;
  if (!first) return values;
  const text = problems.map((problem) => problem.message).join('; ');
  throw others.length === 0 ? first : new FractoryError(first.code, first.reason, text);
}

function tellFailure(error: unknown): number {
  if (!(error instanceof FractoryError)) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return ExitCode.failed;
  }
  const { step, member } = error.metadata;
  const where = step ? ` (step ${step}${member ? ` on ${member}` : ''})` : '';
  const hint = error.reason === 'BUDGET_EXHAUSTED' ? '; --budget SECONDS gives it more' : '';
  say(`error: ${error.message}${hint} [${error.reason}]${where}`);
  return exitCodeOfRun(error);
}

process.exitCode = await main();
