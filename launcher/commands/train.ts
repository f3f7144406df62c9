import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import type { TrainRequest } from '../../protos/gen/fractory/v1/cnn.js';
import { FractoryError, invalidArgument, messageOf } from '../../runtime/errors.js';
import { failureData } from '../../runtime/failure-data.js';
import { makeFolder } from '../../runtime/made-folder.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { checkPictureFile } from '../tax/picture-file.js';
import { learningCurve } from '../training/learning-curve.js';
import { withTrainingNode } from '../training/node-choice.js';
import { runTraining } from '../training/training-run.js';
import { reportJson, trainingReport } from '../training/training-report.js';
import { TrainingView } from '../training/training-view.js';
import { withExamples } from './examples.js';

interface TrainOptions {
  readonly data?: string;
  readonly stored?: string;
  readonly epochs?: number;
  readonly size?: number;
  readonly sampleLimit?: number;
  readonly seed?: bigint;
  readonly network?: string;
  readonly resume?: boolean;
  readonly summary?: string;
  readonly license?: string;
  readonly origin?: string;
  readonly picture?: string;
  readonly json?: boolean;
}

const ABOUT = `
A folder has one sub-folder for each class: pets/cat/1.jpg, pets/dog/2.jpg. Folders train/ and validation/ above them say which
pictures validate; otherwise a tenth does, chosen by content; what lies below test/ is left alone. Hidden files are left out; links and
files that are no pictures are told and skipped. Names in storage have no folders, dots stand for them: cat.0001.jpg is a cat.
A training that was interrupted goes on with --resume; its other options needn't be said again.`;

export function addTrain(program: Command, context: CommandContext): void {
  const command = program
    .command('train')
    .description('train an image classifier on a node, which then serves it')
    .argument('<name>', 'name of the model; each training makes a new version')
    .option('--data <folder or tar>', 'pictures on this machine: one folder for each class')
    .option(
      '--stored <client/prefix>',
      'pictures in storage: files of a client whose names start with the prefix',
    )
    .option(
      '--epochs <n>',
      'how often every picture is seen (default 20; more for few pictures)',
      positive,
    )
    .option(
      '--size <px>',
      'pictures are learned from at this size, then larger (default 64)',
      positive,
    )
    .option('--sample-limit <n>', 'most pictures of a class (default: all)', positive)
    .option('--seed <n>', 'same data, options and seed, same weights (default 0)', seed)
    .addOption(
      new Option(
        '--network <name>',
        'small: for simple drawings; standard: for photographs, from 500 pictures on the default',
      ).choices(['small', 'standard']),
    )
    .option('--resume', 'go on with the interrupted training of that name')
    .option('--summary <text>', 'one line about the model, for its card')
    .option('--license <text>', 'under which terms the model may be used, for its card')
    .option('--origin <text>', 'where the pictures come from, for its card')
    .option(
      '--picture <file>',
      'where the learning curve goes, an SVG (default in the state folder)',
    )
    .option('--json', 'print one JSON object for each epoch, and one for the model')
    .action((name: string, options: TrainOptions) =>
      train(context, name, options).catch((error: unknown) => {
        if (options.json && error instanceof FractoryError)
          context.terminal.printJson(failureData(error));
        throw error;
      }),
    );
  command.addHelpText('after', ABOUT);
  withExamples(command, [
    ['./datacenter train pets --data pets/', 'a folder with one sub-folder for each class'],
    ['./datacenter train pets --data pets.tar --epochs 40', 'the same as a tar'],
    ['./datacenter train pets --resume', 'go on after Ctrl-C'],
    ['./datacenter predict picture.jpg --model pets', 'ask the new model'],
  ]);
}

async function train(context: CommandContext, name: string, options: TrainOptions): Promise<void> {
  const { terminal, interruption, places } = context;
  const { signal } = interruption;
  const json = options.json ?? false;
  const picture = path.resolve(
    options.picture ?? path.join(places.statePath, 'training', 'curves', `${name}.svg`),
  );
  const request = requestOf(name, options);
  if (options.picture !== undefined) await checkPictureFile(picture);
  using view = new TrainingView(terminal, json);
  try {
    await withTrainingNode(context, async (node) => {
      interruption.handle();
      await runTraining(node, request, { view, data: options.data, signal });
    });
  } catch (error) {
    await drawCurve(view, name, picture).catch(warnOf(terminal));
    if (view.epochs.length > 0) tellHowToGoOn(context, view, name);
    if (!signal.aborted) throw error;
    if (view.epochs.length === 0) terminal.note('stopped; no epoch was done');
    throw new ExitRequest(interruption.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.failed);
  }
  const { finished, epochs } = view;
  view[Symbol.dispose]();
  if (!finished) throw new Error('the training ended without a word');
  const isDrawn = await drawCurve(view, name, picture).catch(warnOf(terminal));
  if (json) terminal.printJson(reportJson(finished, picture));
  else terminal.print(trainingReport(finished, epochs));
  if (isDrawn) terminal.note(`the learning curve is ${picture}`);
}

function tellHowToGoOn({ terminal }: CommandContext, view: TrainingView, name: string): void {
  const { epochs, started } = view;
  const best = epochs.findLast((epoch) => epoch.best);
  const done = `${String(epochs.length)} of ${String(started?.epochs ?? 0)} epochs are kept`;
  terminal.note(
    `${done}, the best is epoch ${String(best?.epoch ?? 0)}; ./datacenter train ${name} --resume goes on`,
  );
}

/** A curve that can't be written is not worth a model: it is told, no more. */
function warnOf(terminal: CommandContext['terminal']): (error: unknown) => boolean {
  return (error) => {
    terminal.warn(`the learning curve could not be written: ${messageOf(error)}`);
    return false;
  };
}

async function drawCurve(view: TrainingView, name: string, picture: string): Promise<boolean> {
  if (view.epochs.length === 0) return false;
  await makeFolder(path.dirname(picture));
  await writeFile(picture, learningCurve(`Training of ${name}`, view.epochs));
  return true;
}

function requestOf(model: string, options: TrainOptions): TrainRequest {
  const { data, stored, resume = false } = options;
  if (data !== undefined && stored !== undefined)
    throw invalidArgument('--data', 'and --stored exclude each other');
  if (data === undefined && stored === undefined && !resume)
    throw invalidArgument('--data', 'is missing: give a folder or tar of pictures, or --stored');
  return {
    ...{ model, resume, epochs: options.epochs ?? 0, size: options.size ?? 0 },
    ...{ sampleLimit: options.sampleLimit ?? 0, seed: options.seed ?? 0n },
    ...{ network: options.network ?? '', summary: options.summary ?? '' },
    ...{ license: options.license ?? '', origin: options.origin ?? '' },
    data: stored === undefined ? undefined : { $case: 'stored', value: storedOf(stored) },
  };
}

function storedOf(text: string): { client: string; prefix: string } {
  const at = text.indexOf('/');
  return at < 0
    ? { client: text, prefix: '' }
    : { client: text.slice(0, at), prefix: text.slice(at + 1) };
}

function positive(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= 1_000_000_000) return value;
  throw new InvalidArgumentError('it has to be a whole number from 1 up.');
}

function seed(text: string): bigint {
  if (/^\d+$/.test(text) && BigInt(text) < 2n ** 64n) return BigInt(text);
  throw new InvalidArgumentError('it has to be a whole number from 0 to 2^64 - 1.');
}
