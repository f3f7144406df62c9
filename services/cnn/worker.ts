import { status } from '@grpc/grpc-js';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { FractoryError, messageOf } from '../../runtime/errors.js';
import { serveTasks } from '../../runtime/worker-tasks.js';
import type { Card } from './card.js';
import { shapeOf, toTensor } from './tensor.js';

/** One inference: the model and the pixels of one picture. */
export interface InferenceTask {
  readonly file: string;
  readonly card: Card;
  readonly pixels: Uint8Array;
}

const sessions = new Map<string, Promise<InferenceSession>>();

/** The session of a model, loaded at its first use and kept. The bytes that are loaded are the bytes that were hashed. */
async function load({ file, card }: InferenceTask): Promise<InferenceSession> {
  const bytes = await readFile(file);
  if (createHash('sha256').update(bytes).digest('hex') !== card.sha256)
    throw new Error('model.onnx no longer has the SHA-256 of its card');
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // Warnings of old models are no news; errors are thrown.
    logSeverityLevel: 3,
    // The arena would keep the peak of every model.
    enableCpuMemArena: false,
  });
  const { input, output } = card;
  if (!session.inputNames.includes(input.name))
    throw new Error(`it has no input ${input.name}, but ${session.inputNames.join(', ')}`);
  if (!session.outputNames.includes(output.name))
    throw new Error(`it has no output ${output.name}, but ${session.outputNames.join(', ')}`);
  return session;
}

async function infer(task: InferenceTask): Promise<Float32Array> {
  const { card, pixels, file } = task;
  let session = sessions.get(file);
  if (!session) sessions.set(file, (session = load(task)));
  try {
    const tensor = new Tensor('float32', toTensor(pixels, card.input), shapeOf(card.input));
    const outputs = await (await session).run({ [card.input.name]: tensor }, [card.output.name]);
    return toNumbers(outputs[card.output.name], card.labels.length);
  } catch (error) {
    sessions.delete(file);
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'MODEL_CORRUPT',
      `model ${card.name} version ${String(card.version)} can't be used: ${messageOf(error).split('\n')[0] ?? ''}`,
      { cause: error },
    );
  }
}

function toNumbers(tensor: Tensor | undefined, labels: number): Float32Array {
  if (!(tensor?.data instanceof Float32Array))
    throw new Error(`its output is ${tensor?.type ?? 'missing'}, not float32`);
  if (tensor.data.length !== labels)
    throw new Error(
      `its output has ${String(tensor.data.length)} numbers, its card has ${String(labels)} labels`,
    );
  return tensor.data;
}

await serveTasks<InferenceTask, Float32Array>(() => Promise.resolve(infer));
