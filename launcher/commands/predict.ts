import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { withCnnMembers } from '../cnn/members.js';
import { modelReference } from '../cnn/model-reference.js';
import type { ModelReference } from '../cnn/model-reference.js';
import { runPredictions } from '../cnn/prediction-run.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { withExamples } from './examples.js';

interface PredictOptions {
  readonly model?: ModelReference;
  readonly top: number;
  readonly json?: boolean;
}

const MAX_TOP = 1000;

export function addPredict(program: Command, context: CommandContext): void {
  const command = program
    .command('predict')
    .description('ask a model about pictures: files, folders, thousands at once')
    .argument('<file...>', 'files, folders, or - for a list of names on standard input')
    .option('--model <name>', "NAME or NAME@VERSION (default: the node's own)", modelReference)
    .option('--top <n>', 'how many labels for each picture', top, 1)
    .option('--json', 'print one JSON object for each file, in order, as soon as it is known')
    .action((names: readonly string[], options: PredictOptions) =>
      predict(context, names, options),
    );
  command.addHelpText(
    'after',
    `
Of a folder every file is asked about whose name ends like a picture's (jpg, png, webp, gif, tif, avif), sub-folders too;
hidden files and symbolic links are left out. A file that can't be answered doesn't stop the others: exit code 0 = all were
answered, 1 = some were not, 5 = no node answered.`,
  );
  withExamples(command, [
    ['./datacenter predict picture.jpg', 'the label and how probable it is'],
    [
      './datacenter predict photos/ --model cats-vs-dogs',
      'a folder: how often each label, and what failed',
    ],
    [
      './datacenter predict photos/ --json',
      '{"file": "photos/a.jpg", "label": "cat", "probability": 0.98}',
    ],
    ["find / -name '*.jpg' | ./datacenter predict -", 'names on standard input'],
  ]);
}

async function predict(
  context: CommandContext,
  names: readonly string[],
  { model, top: topK, json = false }: PredictOptions,
): Promise<void> {
  const { terminal, interruption } = context;
  const { signal } = interruption;
  const options = { names, input: process.stdin, model, topK, json, signal };
  let failed = 0;
  try {
    failed = await withCnnMembers(context, (members) => {
      interruption.handle();
      return runPredictions(members, terminal, options);
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (signal.aborted) {
    terminal.note('stopped; what was known by then is all there is');
    throw new ExitRequest(interruption.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.failed);
  }
  if (failed > 0) throw new ExitRequest(ExitCode.failed);
}

function top(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= MAX_TOP) return value;
  throw new InvalidArgumentError(`it has to be a whole number from 1 to ${String(MAX_TOP)}.`);
}
