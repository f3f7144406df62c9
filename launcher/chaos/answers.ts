import { messageOf } from '../../runtime/errors.js';
import { fromFailure } from '../../protos/status.js';
import { hasSucceeded } from './chaos-calls.js';
import type { Prepared } from './load.js';
import { pictureOf } from './pictures.js';
import type { RunClient } from './run-client.js';
import type { StoredFiles } from './stored-files.js';
import { sha256Of } from './verdict.js';
import { imagePrediction, operand, shifted, shiftLeft } from './workloads.js';
import type { Workload } from './workloads.js';

export interface AnswerOptions {
  /** Begins the ids of the runs, and the names of their files. */
  readonly prefix: string;
  readonly signal: AbortSignal;
  /** A workload that can't be used, and why. */
  readonly onLeftOut: (text: string) => void;
}

interface Parts {
  readonly client: RunClient;
  readonly files: Pick<StoredFiles, 'put' | 'get' | 'delete'>;
}

const BUDGET_MS = 20_000;

/** Stores what the workloads read and learns what they have to write: computed, or from runs without faults. */
export async function prepareAnswers(
  workloads: readonly Workload[],
  parts: Parts,
  options: AnswerOptions,
): Promise<Prepared[]> {
  const prepared: Prepared[] = [];
  for (const workload of workloads) {
    try {
      for (const [number, name] of workload.inputs.entries())
        await parts.files.put(name, await inputOf(workload, number), options.signal);
      const expectedSha256: string[] = [];
      for (const number of workload.inputs.keys())
        expectedSha256.push(sha256Of(await answerOf(workload, number, parts, options)));
      prepared.push({ workload, expectedSha256 });
    } catch (error) {
      options.signal.throwIfAborted();
      options.onLeftOut(`no ${workload.kind} runs: ${messageOf(error)}`);
    }
  }
  return prepared;
}

async function inputOf(workload: Workload, number: number): Promise<Buffer> {
  return workload === imagePrediction ? pictureOf(number) : Buffer.from(String(operand(number)));
}

/** Runs once in any case, so that everybody is warm. */
async function answerOf(
  workload: Workload,
  number: number,
  { client, files }: Parts,
  { prefix, signal }: AnswerOptions,
): Promise<Buffer> {
  const id = `${prefix}.${workload.kind}-${String(number)}`;
  const graph = workload.graph(number, id);
  const { ended, refusal } = await client.run(
    { id, graph, durable: false, budgetMs: BUDGET_MS },
    signal,
  );
  if (!ended) throw refusal ?? new Error('its first run did not end');
  if (!hasSucceeded(ended))
    throw ended.failure ? fromFailure(ended.failure) : new Error('its first run failed');
  const found = await files.get(id, signal);
  await files.delete(id, signal);
  if (!found) throw new Error('its first run left no file');
  if (workload !== shiftLeft) return found.content;
  const computed = Buffer.from(String(shifted(number)));
  if (computed.equals(found.content)) return computed;
  throw new Error(`${String(operand(number))} was shifted to ${found.content.toString()}`);
}
