import { setMaxListeners } from 'node:events';

import { AbortScope } from '../../runtime/abort-scope.js';
import { ProgressBar } from '../progress-bar.js';
import type { Terminal } from '../terminal.js';
import { inOrder } from './in-order.js';
import type { CnnMembers } from './members.js';
import type { ModelReference } from './model-reference.js';
import { countPictures, findPictures, namesIn } from './picture-files.js';
import type { LeftOut } from './picture-files.js';
import { answerData, PredictionReport } from './prediction-report.js';
import { Predictor } from './predictor.js';
import type { Answer } from './predictor.js';
import { lookAround } from './readiness.js';

export interface PredictionRunOptions {
  /** Files and folders; `-` = those that `input` lists. */
  readonly names: readonly string[];
  readonly input: AsyncIterable<Buffer | string>;
  /** Absent = the nodes' default model. */
  readonly model: ModelReference | undefined;
  readonly topK: number;
  readonly json: boolean;
  /** At its abort what is known is printed. */
  readonly signal: AbortSignal;
  /** See `PredictorOptions`. */
  readonly patienceMs?: number;
}

/** Pictures that one member has at a time: enough for its decoders and its workers. */
const CALLS_PER_MEMBER = 16;
const MAX_CALLS = 64;
/** Answers that wait for one before them. */
const MAX_AHEAD = 4096;

/**
 * Asks about all files and prints what became of them; returns how many failed. Throws, behind what is known, where no member answers or none has
 * the model.
 */
export async function runPredictions(
  members: CnnMembers,
  terminal: Terminal,
  options: PredictionRunOptions,
): Promise<number> {
  const scope = new AbortScope(options.signal);
  const report = new PredictionReport();
  const leftOut = { otherFiles: 0 };
  const startMs = performance.now();
  try {
    for await (const answer of answers(members, terminal, { ...options, scope, leftOut })) {
      report.add(answer);
      if (options.json) terminal.printJson(answerData(answer, options.topK));
    }
  } finally {
    scope.end();
    if (!options.json) tell(terminal, report, leftOut, (performance.now() - startMs) / 1000);
  }
  return report.failed;
}

interface Asking extends PredictionRunOptions {
  readonly scope: AbortScope;
  readonly leftOut: LeftOut;
}

async function* answers(
  members: CnnMembers,
  terminal: Terminal,
  options: Asking,
): AsyncGenerator<Answer, void, undefined> {
  const { names, input, model, topK, scope, leftOut, patienceMs } = options;
  const { signal } = scope;
  // Every call under way follows it.
  setMaxListeners(0, signal);
  const { sizeLimit, unfit } = await lookAround(members, model, signal);
  const fit = {
    list: () => members.list().filter(({ id }) => !unfit.has(id)),
    predict: members.predict.bind(members),
  };
  const predictor = new Predictor(fit, {
    ...{ model, topK, sizeLimit, signal },
    ...(patienceMs !== undefined && { patienceMs }),
  });
  const all = inOrder(
    findPictures(expanded(names, input), leftOut),
    (picture) => orAbort(scope, predictor.answer(picture)),
    {
      concurrency: Math.min(MAX_CALLS, CALLS_PER_MEMBER * Math.max(1, fit.list().length)),
      ...{ ahead: MAX_AHEAD, signal },
    },
  );
  using bar = new ProgressBar(terminal, { label: 'predict', unit: 'pictures' });
  const total = terminal.interactive ? totalOf(names, signal) : undefined;
  let done = 0;
  let failed = 0;
  for await (const answer of all) {
    if ('error' in answer) failed++;
    const detail = failed > 0 ? `${String(failed)} failed` : undefined;
    bar.update({ done: ++done, of: total?.value, detail });
    yield answer;
  }
  if (!options.signal.aborted) signal.throwIfAborted();
}

/** What no file is to blame for ends everything. */
async function orAbort<T>(scope: AbortScope, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    scope.abort(error);
    throw error;
  }
}

async function* expanded(
  names: readonly string[],
  input: AsyncIterable<Buffer | string>,
): AsyncGenerator<string> {
  for (const name of names)
    if (name === '-') yield* namesIn(input);
    else yield name;
}

/** How many pictures there are, as soon as they are counted. */
function totalOf(
  names: readonly string[],
  signal: AbortSignal,
): { readonly value: number | undefined } {
  const total: { value: number | undefined } = { value: undefined };
  if (!names.includes('-'))
    countPictures(names, signal).then(
      (count) => {
        total.value = count;
      },
      () => undefined,
    );
  return total;
}

function tell(
  terminal: Terminal,
  report: PredictionReport,
  { otherFiles }: LeftOut,
  seconds: number,
): void {
  const table = report.table();
  if (table !== '') terminal.print(table);
  if (otherFiles > 0)
    terminal.note(
      `left out ${String(otherFiles)} ${otherFiles === 1 ? 'file whose name ends' : 'files whose names end'} like no picture's`,
    );
  if (table !== '') terminal.note(report.summary(seconds));
}
