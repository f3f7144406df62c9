import type { TrainRequest } from '../../protos/gen/fractory/v1/cnn.js';
import { sleep } from '../../runtime/deadline.js';
import { FractoryError } from '../../runtime/errors.js';
import { localData } from './training-data.js';
import type { TrainingNode } from './training-node.js';
import type { TrainingView } from './training-view.js';

export interface RunOptions {
  readonly view: TrainingView;
  /** Folder or tar of this machine; undefined where the node has the pictures. */
  readonly data: string | undefined;
  readonly signal: AbortSignal;
}

/** How long a training that was just stopped may take to end behind its step, ms. */
const ENDING_MS = 10_000;
const LOOK_MS = 250;

/** Brings the pictures to the node and has it train. */
export async function runTraining(
  node: TrainingNode,
  request: TrainRequest,
  { view, data, signal }: RunOptions,
): Promise<void> {
  const dataSet = data === undefined ? undefined : await upload(node, data, view, signal);
  const whole: TrainRequest =
    dataSet === undefined ? request : { ...request, data: { $case: 'dataSet', value: dataSet } };
  const untilMs = performance.now() + (request.resume ? ENDING_MS : 0);
  for (;;) {
    try {
      for await (const message of node.train(whole, signal)) view.show(message);
      return;
    } catch (error) {
      const isEnding = error instanceof FractoryError && error.reason === 'TRAINING_RUNNING';
      if (!isEnding || performance.now() > untilMs) throw error;
      await sleep(LOOK_MS, signal);
    }
  }
}

async function upload(
  node: TrainingNode,
  place: string,
  view: TrainingView,
  signal: AbortSignal,
): Promise<string> {
  const local = await localData(place, await node.maxImageBytes(signal));
  const content = local.chunks((file) => {
    view.skipped(file);
  });
  return node.upload(content, {
    signal,
    onSent: (bytes) => {
      view.uploaded(bytes, local.totalBytes);
    },
  });
}
