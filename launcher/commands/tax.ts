import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import { readArguments } from '../../runtime/arguments.js';
import { makeFolder } from '../../runtime/made-folder.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { parseLatency, parseRate } from '../network/link-shape.js';
import type { LinkShape } from '../network/link-shape.js';
import {
  endWithInput,
  enterPrivately,
  findPrivateWay,
  ownNamespace,
  runPrivately,
} from '../network/private-process.js';
import { checkPictureFile } from '../tax/picture-file.js';
import { taxPicture } from '../tax/picture.js';
import { GRAPHS } from '../tax/rows.js';
import type { GraphName } from '../tax/rows.js';
import { DEFAULT_SIZES, parseSizes } from '../tax/sizes.js';
import { taxFindings, taxTable } from '../tax/tax-table.js';
import { runTax } from '../tax/tax-run.js';
import { withExamples } from './examples.js';

interface TaxCommandOptions {
  readonly graph?: GraphName;
  readonly sizes: readonly number[];
  readonly rounds: number;
  /** Bits a second. */
  readonly rate?: number;
  /** Microseconds. */
  readonly latency?: number;
  readonly picture?: string;
  readonly json?: boolean;
  /** Mount namespace of the process that started this one in private namespaces. */
  readonly outside?: string;
}

const MIN_ROUNDS = 5;
const DEFAULT_ROUNDS = 15;

export function addTax(program: Command, context: CommandContext): void {
  const command = program
    .command('tax')
    .description('measure what a hub costs: the same graphs as star and as ring, over sizes')
    .addOption(new Option('--graph <name>', 'only this graph').choices([...GRAPHS]))
    .addOption(
      new Option('--sizes <list>', 'payloads')
        .argParser(sizes)
        .default(DEFAULT_SIZES, '1KiB,64KiB,1MiB,8MiB'),
    )
    .option('--rounds <n>', 'rounds that count, at least 5', roundCount, DEFAULT_ROUNDS)
    .option('--rate <rate>', 'give each node a link of this rate, such as 1gbit', rate)
    .option('--latency <time>', 'delay what each node sends, such as 100us', latency)
    .option('--picture <file>', 'where the SVG goes (default tax.svg in the state folder)')
    .option('--json', 'print one JSON object for each graph and size')
    .addOption(new Option('--outside <namespace>').hideHelp())
    .action((options: TaxCommandOptions) => tax(context, options));
  withExamples(command, [
    ['./datacenter tax', 'on loopback; it starts data centers of its own'],
    ['./datacenter tax --rate 1gbit --latency 100us', 'each node on a link of its own, shaped'],
    [
      './datacenter tax --sizes 1KiB,1MiB --rounds 5 --json',
      '{"graph": "linear", "payloadBytes": 1024, ...}',
    ],
  ]);
}

async function tax(context: CommandContext, options: TaxCommandOptions): Promise<void> {
  const { interruption } = context;
  const shape = shapeOf(options);
  if (options.picture !== undefined) await checkPictureFile(path.resolve(options.picture));
  if (shape && options.outside === undefined) {
    const script = fileURLToPath(new URL('../main.js', import.meta.url));
    const args = [...readArguments(), '--outside', await ownNamespace()];
    const way = await findPrivateWay('--rate and --latency');
    throw new ExitRequest(await runPrivately(way, script, args, interruption));
  }
  interruption.handle();
  // A server that is just starting loses its address when the network goes; gRPC would print that.
  const silence = (): void => {
    setLogVerbosity(logVerbosity.NONE);
  };
  interruption.signal.addEventListener('abort', silence, { once: true });
  try {
    if (options.outside !== undefined) {
      await enterPrivately(options.outside);
      endWithInput(interruption);
    }
    await measureAndShow(context, options, shape);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  }
  if (!interruption.signal.aborted) return;
  context.terminal.note('stopped; nothing of the measurement is left');
  throw new ExitRequest(interruption.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.failed);
}

async function measureAndShow(
  { terminal, interruption, places }: CommandContext,
  options: TaxCommandOptions,
  shape: LinkShape | undefined,
): Promise<void> {
  const { rows, conditions } = await runTax({
    graphs: options.graph ? [options.graph] : GRAPHS,
    ...{ sizes: options.sizes, rounds: options.rounds, shape, signal: interruption.signal },
    onNote: (text) => {
      terminal.note(text);
    },
    onProgress: (text) => {
      terminal.progress(text);
    },
    onRow: (row) => {
      if (options.json) terminal.printJson(row);
    },
  });
  if (!options.json) {
    terminal.print(taxTable(rows));
    terminal.note(`\n${taxFindings(rows)}\n${conditions}`);
  }
  const picture = path.resolve(options.picture ?? path.join(places.statePath, 'tax.svg'));
  await makeFolder(path.dirname(picture));
  await writeFile(picture, taxPicture(rows, conditions));
  terminal.note(`the picture is ${picture}`);
}

function shapeOf({
  rate: bitsPerSecond,
  latency: latencyUs,
}: TaxCommandOptions): LinkShape | undefined {
  if (bitsPerSecond === undefined && latencyUs === undefined) return undefined;
  return {
    ...(bitsPerSecond !== undefined && { bitsPerSecond }),
    ...(latencyUs !== undefined && { latencyUs }),
  };
}

function sizes(text: string): readonly number[] {
  const found = parseSizes(text);
  if (found) return found;
  throw new InvalidArgumentError('it has to be sizes from 256 B to 16 MiB, such as 1KiB,1MiB.');
}

function roundCount(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= MIN_ROUNDS && value <= 1000) return value;
  throw new InvalidArgumentError('it has to be a whole number from 5 to 1000.');
}

function rate(text: string): number {
  const found = parseRate(text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError('it has to be a rate from 1mbit to 100gbit, such as 1gbit.');
}

function latency(text: string): number {
  const found = parseLatency(text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError('it has to be a time from 1us to 1000ms, such as 100us.');
}
