import type { ModelCounts, ModelSignature } from '../../../services/cnn/serving.js';
import type { NamedTensor } from '../../../services/cnn/tensors/tensor.js';

/** What the protocol needs of the models of a node; `CnnService` is one. Version 0 is the pinned one, or else the newest. */
export interface ServedModels {
  models(): readonly ServedVersion[];
  describe(model: string, version?: number): Promise<ModelDescription>;
  isReady(model: string, version?: number): boolean;
  load(model: string, version?: number): Promise<unknown>;
  /** Version 0 = all. */
  unload(model: string, version?: number): Promise<void>;
  infer(request: InferenceRequest): Promise<InferenceAnswer>;
}

export interface ServedVersion {
  readonly name: string;
  readonly version: number;
  /** `ready`, `unloaded`, or what is wrong. */
  readonly state: string;
  readonly counts: ModelCounts;
}

export interface ModelDescription {
  readonly name: string;
  readonly versions: readonly number[];
  readonly signature: ModelSignature;
  readonly card: { readonly summary: string } | undefined;
}

export interface InferenceRequest {
  readonly model: string;
  readonly version: number;
  readonly inputs: readonly NamedTensor[];
  /** Empty = all. */
  readonly outputs: readonly string[];
  readonly signal: AbortSignal;
  /** Since 1970. */
  readonly deadlineMs: number;
}

export interface InferenceAnswer {
  readonly outputs: readonly NamedTensor[];
  readonly model: string;
  readonly version: number;
}
