import { GraphWriter } from '../../../../services/cnn/onnx/graph-writer.js';
import type {
  Batch,
  EngineOptions,
  EngineState,
  StepResult,
  TrainingEngine,
} from '../../../../services/cnn/training/engine/engine.js';

const CHANNELS = 3;

/** The smallest engine that learns: logistic regression on the mean of each channel. Keeps the contract of the real one. */
export function createTrainingEngine(options: EngineOptions): Promise<TrainingEngine> {
  return Promise.resolve(new ColourEngine(options));
}

class ColourEngine implements TrainingEngine {
  readonly #options: EngineOptions;
  readonly #state: Map<'weights' | 'momenta' | 'averages', Float32Array>;

  constructor(options: EngineOptions) {
    this.#options = options;
    const first = Float32Array.from(
      { length: this.weightCount },
      (_, at) => 0.01 * Math.sin(options.seed + at),
    );
    this.#state = new Map([
      ['weights', first],
      ['momenta', new Float32Array(this.weightCount)],
      ['averages', first.slice()],
    ]);
  }

  get weightCount(): number {
    return this.#options.network.classes * (CHANNELS + 1);
  }

  step({ pixels, labels, size }: Batch, learningRate: number): Promise<StepResult> {
    const [weights, momenta, averages] = [...this.#state.values()] as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const { momentum, averaging, batch } = this.#options;
    if (labels.length !== batch) throw new Error(`a batch of ${String(labels.length)}`);
    const gradient = new Float32Array(weights.length);
    let [loss, correct] = [0, 0];
    labels.forEach((label, at) => {
      const means = meansOf(pixels, at, size * size);
      const shares = softmax(this.#logits(weights, means));
      loss -= Math.log(shares[label]!) / batch;
      if (shares.indexOf(Math.max(...shares)) === label) correct++;
      shares.forEach((share, answer) => {
        const error = (share - (answer === label ? 1 : 0)) / batch;
        [...means, 1].forEach((mean, input) => {
          gradient[answer * (CHANNELS + 1) + input]! += error * mean;
        });
      });
    });
    gradient.forEach((slope, at) => {
      momenta[at] = momentum * momenta[at]! + slope;
      weights[at]! -= learningRate * momenta[at];
      averages[at] = averaging * averages[at]! + (1 - averaging) * weights[at]!;
    });
    return Promise.resolve({ loss, correct });
  }

  state(): EngineState {
    return new Map([...this.#state].map(([name, values]) => [name, values.slice()]));
  }

  restore(state: EngineState): void {
    for (const [name, values] of this.#state) {
      const given = state.get(name);
      if (given?.length !== values.length) throw new Error(`${name} doesn't fit`);
      values.set(given);
    }
  }

  export(size: number): Uint8Array {
    const { classes } = this.#options.network;
    const averages = this.#state.get('averages')!;
    const row = CHANNELS + 1;
    const part = (input: number): number[] =>
      Array.from({ length: classes }, (_, answer) => averages[answer * row + input]!);
    const graph = new GraphWriter();
    const input = graph.input('input', ['n', CHANNELS, size, size]);
    const means = graph.node('Flatten', [graph.node('GlobalAveragePool', [input])]);
    const matrix = graph.floats([CHANNELS, classes], [0, 1, 2].flatMap(part));
    const logits = graph.node('Gemm', [means, matrix, graph.floats([classes], part(CHANNELS))]);
    graph.output('logits', logits, ['n', classes]);
    return graph.model({ name: 'colours' });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #logits(weights: Float32Array, means: readonly number[]): number[] {
    const row = CHANNELS + 1;
    return Array.from({ length: this.#options.network.classes }, (_, answer) =>
      [...means, 1].reduce((sum, mean, at) => sum + mean * weights[answer * row + at]!, 0),
    );
  }
}

function meansOf(pixels: Float32Array, at: number, plane: number): number[] {
  return Array.from({ length: CHANNELS }, (_, channel) => {
    const from = (at * CHANNELS + channel) * plane;
    return pixels.subarray(from, from + plane).reduce((sum, value) => sum + value, 0) / plane;
  });
}

function softmax(logits: readonly number[]): number[] {
  const highest = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - highest));
  const sum = powers.reduce((left, right) => left + right, 0);
  return powers.map((value) => value / sum);
}
