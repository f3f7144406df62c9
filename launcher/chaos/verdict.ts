import { createHash } from 'node:crypto';

import { RunState } from '../../protos/gen/fractory/v1/application.js';
import type { Failure, Value } from '../../protos/gen/fractory/v1/value.js';
import { toPlain } from '../../protos/values.js';
import type { RunHeard } from './run-client.js';

/** How a run is judged by what its client heard. */
export interface Verdict {
  readonly outcome: 'succeeded' | 'failed' | 'lost' | 'doubled' | 'wrong';
  readonly attempts: number;
  readonly reason?: string;
  /** What was wrong. */
  readonly detail?: string;
}

export interface Circumstances {
  /** SHA-256 of what the run has to write, hex. */
  readonly expectedSha256: string;
  readonly budgetMs: number;
  /** From the first sending to the end. */
  readonly tookMs: number;
  /** A disk was full while it ran. */
  readonly diskFull: boolean;
}

/** Share of its budget after which a failure may be for want of time. */
const LATE = 0.8;
/** True at any time: the run is not done twice rather than once too often. */
const TRUE_REASONS: ReadonlySet<string> = new Set(['STEP_MAY_BE_DONE']);
const DISK_REASONS: ReadonlySet<string> = new Set(['DISK_FULL', 'DEVICE_FULL']);

/** A failure is true if the budget was gone, the disk was full, or once more would have been once too often; any other is wrong. */
export function judge({ ended, refusal }: RunHeard, circumstances: Circumstances): Verdict {
  if (refusal) return failed(refusal.reason, refusal.message, 0, circumstances);
  if (!ended) return { outcome: 'lost', attempts: 0, detail: 'its client heard no end' };
  const { attempts, state, failure, result } = ended;
  if (state === RunState.SUCCEEDED) return written(result, attempts, circumstances);
  const { reason, message }: Pick<Failure, 'reason' | 'message'> = failure ?? {
    reason: 'NO_REASON',
    message: 'no reason was told',
  };
  return failed(reason, message, attempts, circumstances);
}

function failed(
  reason: string,
  message: string,
  attempts: number,
  { budgetMs, tookMs, diskFull }: Circumstances,
): Verdict {
  const isTrue =
    tookMs >= LATE * budgetMs || TRUE_REASONS.has(reason) || (diskFull && DISK_REASONS.has(reason));
  if (isTrue) return { outcome: 'failed', attempts, reason };
  const detail = `failed after ${String(Math.round(tookMs))} of ${String(budgetMs)} ms: ${message}`;
  return { outcome: 'wrong', attempts, reason, detail };
}

function written(
  result: Value | undefined,
  attempts: number,
  { expectedSha256 }: Circumstances,
): Verdict {
  const plain = result && toPlain(result);
  const { sha256, version } = (plain ?? {}) as { sha256?: unknown; version?: unknown };
  if (sha256 !== expectedSha256)
    return { outcome: 'wrong', attempts, detail: `it wrote ${String(sha256)}` };
  if (Number(version) !== 1)
    return { outcome: 'doubled', attempts, detail: `it wrote version ${String(version)}` };
  return { outcome: 'succeeded', attempts };
}

export function sha256Of(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
