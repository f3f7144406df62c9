import type { Arrangement, ModelSignature, ModelSource } from '../serving.js';
import type { ExecutionLimits } from './executor.js';

/** Parts of an arrangement that somebody fixed. */
export type FixedParts = ModelSource['fixed'];

const NAMES: readonly (readonly [keyof FixedParts, string])[] = [
  ['workers', 'workers'],
  ['threads', 'threads'],
  ['maxBatch', 'batch'],
  ['maxDelayMs', 'delay'],
];

/** What the card fixes, and else the ini file. */
export function fixedParts({ fixed }: ModelSource, limits: ExecutionLimits): FixedParts {
  return {
    ...(limits.threads > 0 ? { threads: limits.threads } : {}),
    ...(limits.max_batch > 0 ? { maxBatch: limits.max_batch } : {}),
    ...(limits.max_delay_ms > 0 ? { maxDelayMs: limits.max_delay_ms } : {}),
    ...fixed,
  };
}

/**
 * The arrangement to begin with: what is fixed, and else one request for each thread on each core. `cores`: threads that there may be.
 * A batch needs a model whose inputs and outputs all have a free first dimension.
 */
export function firstArrangement(
  source: ModelSource,
  limits: ExecutionLimits,
  cores: number,
): Arrangement {
  const fixed = fixedParts(source, limits);
  const threads = fixed.threads ?? 1;
  const workers = Math.min(cores, fixed.workers ?? Math.max(1, Math.floor(cores / threads)));
  const wanted = fixed.maxBatch ?? 1;
  const maxBatch = isBatchable(source.signature) ? wanted : 1;
  const named = NAMES.filter(([key]) => fixed[key] !== undefined).map(([, name]) => name);
  const reason = [
    named.length > 0
      ? `${named.join(', ')} fixed by ${Object.keys(source.fixed).length > 0 ? 'the card' : 'the ini file'}`
      : 'one request for each thread, not measured',
    ...(maxBatch < wanted ? ['its first dimension is fixed, so requests run one by one'] : []),
  ].join('; ');
  return { workers, threads, maxBatch, maxDelayMs: fixed.maxDelayMs ?? 0, reason };
}

/** Whether several requests may be put into one run, as far as the shapes tell. */
export function isBatchable({ inputs, outputs }: ModelSignature): boolean {
  return inputs.length > 0 && [...inputs, ...outputs].every(({ shape }) => shape[0] === -1);
}
