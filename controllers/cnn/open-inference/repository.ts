import { status } from '@grpc/grpc-js';

import type {
  ModelStatistics,
  RepositoryIndexResponse_ModelIndex as ModelIndex,
  StatisticDuration,
} from '../../../protos/gen/inference/grpc_service.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { ServedVersion } from './served-models.js';

/** There is one repository, without a name. */
export function checkRepository(name: string): void {
  if (name !== '')
    throw new FractoryError(
      status.UNIMPLEMENTED,
      'UNSUPPORTED_PARAMETER',
      `repository_name: there is one repository, which has no name; found ${JSON.stringify(name.slice(0, 40))}`,
    );
}

/** Parameters of loading and unloading that may be given: `unload_dependents` has nothing to do here, for no model depends on another. */
export function checkParameters(parameters: Readonly<Record<string, unknown>>): void {
  const other = Object.keys(parameters).find((name) => name !== 'unload_dependents');
  if (other !== undefined)
    throw new FractoryError(
      status.UNIMPLEMENTED,
      'UNSUPPORTED_PARAMETER',
      `parameters: models are loaded as they are in the repository, without ${other.slice(0, 80)}`,
    );
}

/** How a version stands in the index: READY also where it is loaded at its first use only. */
export function indexEntry({ name, version, state }: ServedVersion): ModelIndex {
  const ready = state === 'ready';
  return {
    ...{ name, version: String(version) },
    state: ready ? 'READY' : 'UNAVAILABLE',
    reason: ready ? '' : state,
  };
}

/** Triton's statistics of a version. It counts an input that was decoded as `compute_input`; there is no response cache. */
export function statisticsOf({ name, version, counts }: ServedVersion): ModelStatistics {
  const { requests, failures, runs, queueUs, decodeUs, computeUs, outputUs } = counts;
  const successes = requests - failures;
  const batches = [...counts.batches].sort(([one], [other]) => one - other);
  return {
    name,
    version: String(version),
    lastInference: BigInt(Math.round(counts.lastUsedMs)),
    inferenceCount: batches.reduce((sum, [size, batch]) => sum + BigInt(size * batch.runs), 0n),
    executionCount: BigInt(runs),
    inferenceStats: {
      success: duration(successes, queueUs + decodeUs + computeUs + outputUs),
      fail: duration(failures, 0),
      queue: duration(successes, queueUs),
      computeInput: duration(successes, decodeUs),
      computeInfer: duration(successes, computeUs),
      computeOutput: duration(successes, outputUs),
      cacheHit: duration(0, 0),
      cacheMiss: duration(0, 0),
    },
    batchStats: batches.map(([size, batch]) => ({
      batchSize: BigInt(size),
      computeInput: duration(batch.runs, 0),
      computeInfer: duration(batch.runs, batch.computeUs),
      computeOutput: duration(batch.runs, 0),
    })),
  };
}

function duration(count: number, us: number): StatisticDuration {
  return { count: BigInt(count), ns: BigInt(Math.round(us * 1000)) };
}
