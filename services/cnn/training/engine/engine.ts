/** A residual network for pictures of any size: what is built, as plain data for cards and checkpoints. */
export interface NetworkSpec {
  /** `small`, `standard`, or a name of one's own. */
  readonly name: string;
  /** Channels of each stage; each stage after the first halves the picture. */
  readonly widths: readonly number[];
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  readonly classes: number;
}

/** What makes a step; the same for the whole training. */
export interface EngineOptions {
  readonly network: NetworkSpec;
  /** Pictures of a step. */
  readonly batch: number;
  /** Threads of ONNX Runtime. */
  readonly threads: number;
  /** Of the first weights. */
  readonly seed: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly labelSmoothing: number;
  /** The exported weights are a running average of those of the steps: share of the old average that stays at each step. */
  readonly averaging: number;
}

/** A step's pictures: N x 3 x size x size, normalised by the engine's `mean` and `std` already, and the class of each. */
export interface Batch {
  readonly pixels: Float32Array;
  readonly labels: Int32Array;
  /** Width and height, pixels; steps of one training may differ in it. */
  readonly size: number;
}

export interface StepResult {
  /** Mean cross-entropy over the batch. */
  readonly loss: number;
  /** Right answers in the batch. */
  readonly correct: number;
}

/** Everything that a training needs to go on: name -> numbers (weights, momenta, averages, running means and variances). */
export type EngineState = ReadonlyMap<string, Float32Array>;

/** Trains one network. Lives in a worker thread: a step blocks its thread. */
export interface TrainingEngine extends AsyncDisposable {
  /** Numbers that are learned. */
  readonly weightCount: number;
  /** One step of gradient descent; not before the one before has ended. A change of the pictures' size costs some 100 ms. */
  step(batch: Batch, learningRate: number): Promise<StepResult>;
  /** A copy. */
  state(): EngineState;
  /** Throws where names or lengths don't fit. */
  restore(state: EngineState): void;
  /**
   * The averaged network as an ONNX file for inference: input `input` N x 3 x size x size (N free), output `logits` N x classes, batch norms folded into convolutions,
   * output `embedding` N x widths.at(-1) where asked for.
   */
  export(size: number, options?: { readonly embedding?: boolean }): Uint8Array;
}
