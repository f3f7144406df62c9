import { status } from '@grpc/grpc-js';

import { cancelled, deadlineExceeded, FractoryError } from '../../../runtime/errors.js';
import type { ModelSource, PixelInput, RunRequest, RunResult } from '../serving.js';
import type { NamedTensor } from '../tensors/tensor.js';
import type { Waiting } from './model-queue.js';
import type { Refusal } from './scheduler.js';
import type { ServedModel } from './served-model.js';

/** A request on its way through the executor. Settles once; whatever comes later is ignored. */
export class PendingRequest implements Waiting {
  readonly model: ServedModel;
  readonly request: RunRequest;
  readonly batchKey: string;
  readonly deadlineMs: number;
  /** By the monotonic clock. */
  readonly arrivedMs: number;
  readonly #settle: (result: RunResult | Error) => void;
  #onAbort: (() => void) | undefined;
  #settled = false;

  /** `settle` comes once. */
  constructor(
    model: ServedModel,
    request: RunRequest,
    turn: { readonly batchKey: string; readonly deadlineMs: number; readonly arrivedMs: number },
    settle: (result: RunResult | Error) => void,
  ) {
    this.model = model;
    this.request = request;
    this.batchKey = turn.batchKey;
    this.deadlineMs = turn.deadlineMs;
    this.arrivedMs = turn.arrivedMs;
    this.#settle = settle;
  }

  /** Fails with the reason of the signal as soon as it aborts; `onAbort` comes after that. */
  listen(onAbort: () => void): void {
    const { signal } = this.request;
    if (!signal || this.#settled) return;
    this.#onAbort = () => {
      this.settle(abortReason(signal));
      onAbort();
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  settle(result: RunResult | Error): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#onAbort) this.request.signal?.removeEventListener('abort', this.#onAbort);
    this.#settle(result);
  }
}

export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : cancelled();
}

/** Tells which requests can share a run. */
export class BatchKeys {
  readonly #inputs = new WeakMap<PixelInput, string>();

  /** Requests of the same key can; '' where this one can't with any. */
  of(request: RunRequest): string {
    const outputs = request.outputs.join('\n');
    if (request.kind === 'pixels') return `pixels\n${this.#ofInput(request.input)}\n${outputs}`;
    const rows = request.inputs[0]?.shape[0];
    if (rows === undefined || rows < 1 || request.inputs.some(({ shape }) => shape[0] !== rows))
      return '';
    return [...request.inputs.map(ofTensor), '', outputs].join('\n');
  }

  #ofInput(input: PixelInput): string {
    let key = this.#inputs.get(input);
    if (key === undefined) this.#inputs.set(input, (key = JSON.stringify(input)));
    return key;
  }
}

function ofTensor({ name, datatype, shape }: NamedTensor): string {
  return `${name} ${datatype} ${shape.slice(1).join('x')}`;
}

/** Why a request was not computed, as its caller sees it. */
export function refusalError({ name }: ModelSource, refusal: Refusal): FractoryError {
  switch (refusal.kind) {
    case 'full':
      return new FractoryError(
        status.RESOURCE_EXHAUSTED,
        'QUEUE_FULL',
        `model ${name} has ${String(refusal.underWay)} requests under way, the limit max_queued is ${String(refusal.underWay)}`,
        {
          retryAfterMs: refusal.retryAfterMs,
          metadata: { limit: 'max_queued', allowed: String(refusal.underWay) },
        },
      );
    case 'hopeless':
      return new FractoryError(
        status.DEADLINE_EXCEEDED,
        'CANT_MAKE_DEADLINE',
        `model ${name} needs about ${refusal.expectedMs.toFixed(1)} ms until the answer, ${refusal.leftMs.toFixed(1)} ms are left`,
      );
    case 'expired':
      return deadlineExceeded(`the deadline passed while the request waited for model ${name}`);
  }
}
