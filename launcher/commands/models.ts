import type { Command } from 'commander';

import { exitCodeOfFailure } from '../../runtime/exit-codes.js';
import { askEach } from '../cnn/each-member.js';
import { withCnnMembers } from '../cnn/members.js';
import { changeModel } from '../cnn/model-changes.js';
import type { ModelChange } from '../cnn/model-changes.js';
import { modelName, modelReference, versionReference } from '../cnn/model-reference.js';
import type { ModelReference } from '../cnn/model-reference.js';
import { modelRows, rowData } from '../cnn/model-rows.js';
import { modelNotes, modelTable } from '../cnn/model-table.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { withExamples } from './examples.js';

interface ModelsOptions {
  readonly json?: boolean;
}

export function addModels(program: Command, context: CommandContext): void {
  const models = program
    .command('models')
    .description('show the models of the CNN nodes; load, unload, pin and unpin them')
    .option('--json', 'print one JSON object')
    .action(({ json = false }: ModelsOptions) => showModels(context, json));
  const examples: readonly (readonly [string, string])[] = [
    ['./datacenter models', 'versions, how they are run, requests and times'],
    ['./datacenter models load NAME', 'load a model before its first use, or after unload'],
    ['./datacenter models unload NAME@1', 'free its memory and refuse it'],
    ['./datacenter models pin NAME@1', 'calls that name no version get this one'],
    ['./datacenter models unpin NAME', 'calls get the newest version again'],
  ];
  withExamples(models, examples);
  const add = (
    change: ModelChange,
    what: string,
    [form, read]: readonly [string, (text: string) => ModelReference],
  ): void => {
    const command = models
      .command(change)
      .description(what)
      .argument(`<${form}>`, `the model: ${form}`, read)
      .option('--json', 'print one JSON object')
      // The command above has that option too, and is the one that reads it.
      .action((reference: ModelReference, _: ModelsOptions, self: Command) => {
        const { json = false } = self.optsWithGlobals<ModelsOptions>();
        return changeEverywhere(context, change, reference, json);
      });
    withExamples(
      command,
      examples.filter(([line]) => line.includes(` ${change} `)),
    );
  };
  const any = ['name[@version]', modelReference] as const;
  add('load', 'load a version at every CNN node; looks at the folders again before', any);
  add(
    'unload',
    'unload a version (or all) at every CNN node; calls are refused until it is loaded',
    any,
  );
  add('pin', 'choose the version for calls that name none', ['name@version', versionReference]);
  add('unpin', 'choose the newest version again', [
    'name',
    (text) => ({ name: modelName(text), version: 0 }),
  ]);
}

async function showModels(context: CommandContext, json: boolean): Promise<void> {
  const { terminal } = context;
  const outcomes = await withCnnMembers(context, (members) =>
    askEach(members.some(), (member) => members.models(member)),
  );
  const failures = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []));
  const [first] = failures;
  if (first && failures.length === outcomes.length) throw first.error;
  const rows = modelRows(outcomes);
  if (json) {
    const unreachable = failures.map(({ member, error }) => ({ member, error: error.message }));
    const answering = outcomes.filter((outcome) => 'answer' in outcome).map(({ member }) => member);
    terminal.printJson({ members: answering, unreachable, models: rows.map(rowData) });
  } else {
    const members = outcomes.length - failures.length;
    terminal.print(modelTable(rows, members));
    const notes = modelNotes(rows, members);
    if (notes.length > 0) terminal.print(`\n${notes.join('\n')}`);
    for (const { member, error } of failures) terminal.warn(`${member}: ${error.message}`);
  }
  if (failures.length > 0) throw new ExitRequest(ExitCode.unreachable);
}

async function changeEverywhere(
  context: CommandContext,
  change: ModelChange,
  reference: ModelReference,
  json: boolean,
): Promise<void> {
  const { terminal, interruption } = context;
  const outcomes = await withCnnMembers(context, (members) =>
    changeModel(members, change, terminal, { reference, json, signal: interruption.signal }),
  );
  const [failure] = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.error] : []));
  if (failure) throw new ExitRequest(exitCodeOfFailure(failure));
}
