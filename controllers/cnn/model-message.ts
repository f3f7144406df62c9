import type {
  Arrangement as ArrangementMessage,
  InferenceTimes as TimesMessage,
  Model,
  ModelStatistics,
  TensorDescription,
} from '../../protos/gen/fractory/v1/cnn.js';
import type { ModelStatus } from '../../services/cnn/model-status.js';
import type { Arrangement, InferenceTimes, ModelCounts } from '../../services/cnn/serving.js';
import type { TensorSpec } from '../../services/cnn/tensors/tensor.js';

/** A version of a model as `fractory.v1` tells it. */
export function modelMessage(model: ModelStatus): Model {
  const { name, version, card, state, loaded, servesByDefault, pinned, sha256 } = model;
  const { signature, arrangement } = model;
  return {
    ...{ name, version, state, loaded, servesByDefault, pinned, sha256 },
    summary: card?.summary ?? '',
    labels: card?.labels ?? [],
    width: card?.input.width ?? 0,
    height: card?.input.height ?? 0,
    accuracy: card?.accuracy?.value ?? 0,
    memoryBytes: BigInt(model.memoryBytes),
    arrangement: arrangement && arrangementMessage(arrangement),
    inputs: signature?.inputs.map(tensorMessage) ?? [],
    outputs: signature?.outputs.map(tensorMessage) ?? [],
    statistics: statisticsMessage(model.counts),
  };
}

export function timesMessage(times: InferenceTimes): TimesMessage {
  const { queueUs, decodeUs, computeUs, outputUs, batch } = times;
  return {
    queueUs: whole(queueUs),
    decodeUs: whole(decodeUs),
    computeUs: whole(computeUs),
    outputUs: whole(outputUs),
    batch,
  };
}

function arrangementMessage(arrangement: Arrangement): ArrangementMessage {
  const { workers, threads, maxBatch, maxDelayMs, reason } = arrangement;
  return { workers, threads, maxBatch, maxDelayUs: Math.round(maxDelayMs * 1000), reason };
}

function tensorMessage({ name, datatype, shape }: TensorSpec): TensorDescription {
  return { name, datatype, shape: shape.map(BigInt) };
}

function statisticsMessage(counts: ModelCounts): ModelStatistics {
  return {
    requests: BigInt(counts.requests),
    failures: BigInt(counts.failures),
    runs: BigInt(counts.runs),
    queueUs: whole(counts.queueUs),
    decodeUs: whole(counts.decodeUs),
    computeUs: whole(counts.computeUs),
    outputUs: whole(counts.outputUs),
    lastUsedMs: whole(counts.lastUsedMs),
  };
}

function whole(value: number): bigint {
  return BigInt(Math.round(value));
}
