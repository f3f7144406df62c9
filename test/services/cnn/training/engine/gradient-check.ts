import { InferenceSession, Tensor } from 'onnxruntime-node';

import { GraphWriter } from '../../../../../services/cnn/onnx/graph-writer.js';
import { blockSize } from '../../../../../services/cnn/training/engine/block-size.js';
import {
  BLOCKED_DOMAIN,
  blockedKernels,
} from '../../../../../services/cnn/training/engine/blocked-kernels.js';
import type {
  KernelMaker,
  Kernels,
  Maps,
} from '../../../../../services/cnn/training/engine/kernels.js';
import { plainKernels } from '../../../../../services/cnn/training/engine/plain-kernels.js';
import { randomOf } from '../../../../../services/cnn/training/random.js';
import type { Scope } from '../../../../../services/cnn/training/engine/scope.js';
import { assert } from '../../../../suite.js';

/** Kernels, and how tests get numbers into their layout and out of it. */
export interface Layout {
  readonly name: string;
  readonly kernels: KernelMaker;
  readonly enter: (writer: GraphWriter, value: string) => string;
  readonly leave: (writer: GraphWriter, maps: Maps) => string;
}

/** All that this machine can run. */
export async function layouts(): Promise<Layout[]> {
  const plain: Layout = {
    name: 'plain kernels',
    kernels: plainKernels,
    enter: (_, value) => value,
    leave: (_, maps) => maps.value,
  };
  const block = await blockSize();
  if (block === 0) return [plain];
  const blocked: Layout = {
    name: 'blocked kernels',
    kernels: blockedKernels(block),
    enter: (writer, value) => writer.node('ReorderInput', [value], {}, BLOCKED_DOMAIN),
    leave: (writer, { value, channels }) =>
      writer.node('ReorderOutput', [value], { channels }, BLOCKED_DOMAIN),
  };
  return [plain, blocked];
}

/** Shapes of the graph's inputs by name. */
export type Inputs = Readonly<Record<string, readonly number[]>>;

/** What a test writes between its inputs and a scalar: the scalar's gradient by each input goes out as `gradients`. */
export interface Written {
  /** Summed with random factors, if it isn't a scalar. */
  readonly output: string;
  readonly gradients: Readonly<Record<string, string>>;
}

export interface Bench {
  readonly writer: GraphWriter;
  readonly kernels: Kernels;
  readonly scope: Scope;
  readonly layout: Layout;
  /** Gradients and statistics that layers have left. */
  readonly left: Map<string, string>;
  /** An input as maps in the layout. */
  readonly maps: (name: string) => Maps;
  /** Maps as plain numbers. */
  readonly plain: (maps: Maps) => string;
}

export interface CheckOptions {
  readonly layout: Layout;
  readonly batch: number;
  readonly inputs: Inputs;
  readonly seed: number;
  /** Default 0.01. */
  readonly tolerance?: number;
  /** `upstream`: graph input with the random factors of the output, plain; absent where the output is a scalar. */
  readonly upstream?: readonly number[];
  readonly write: (bench: Bench) => Written;
}

/** Values that are told apart at each input. */
const SAMPLES = 24;
const STEP = 1e-3;

/** Compares the gradients that a layer writes with central differences of its output, number by number. */
export async function checkGradients(options: CheckOptions): Promise<void> {
  const { session, gradients } = await compile(options);
  const next = randomOf(options.seed);
  const inputs = new Map<string, Float32Array>();
  for (const [name, shape] of Object.entries(shapesOf(options)))
    inputs.set(
      name,
      Float32Array.from({ length: lengthOf(shape) }, () => 2 * next() - 1),
    );
  const run = (): Promise<InferenceSession.OnnxValueMapType> =>
    session.run(feedsOf(inputs, shapesOf(options)));
  const scalar = async (): Promise<number> => weighed(await run(), inputs.get('upstream'));
  const written = await run();
  for (const name of gradients) {
    const found = written[`gradient_${name}`]?.data as Float32Array;
    const values = inputs.get(name) ?? new Float32Array();
    assert.is(
      found.length,
      values.length,
      `${name}: the gradient has as many numbers as the value`,
    );
    const size = Math.max(...found.map(Math.abs));
    assert.ok(size > 0, `${name}: some gradient isn't zero`);
    let compared = 0;
    const samples = Math.min(SAMPLES, values.length);
    for (let sample = 0; sample < samples; sample += 1) {
      const index = values.length <= SAMPLES ? sample : Math.floor(next() * values.length);
      const { left, right } = await slopes(values, index, scalar);
      const tolerance = (options.tolerance ?? 0.01) * size;
      // A corner of a ReLU lies between: there is no one slope.
      if (Math.abs(left - right) > tolerance) continue;
      const numeric = (left + right) / 2;
      const message = `${name}[${String(index)}]: ${String(found[index])}, by differences ${String(numeric)}`;
      assert.ok(Math.abs(numeric - (found[index] ?? Number.NaN)) < tolerance, message);
      compared += 1;
    }
    assert.ok(
      compared > samples / 3,
      `${name}: ${String(compared)} of ${String(samples)} compared`,
    );
  }
  await session.release();
}

async function slopes(
  values: Float32Array,
  index: number,
  scalar: () => Promise<number>,
): Promise<{ left: number; right: number }> {
  const middle = values[index] ?? Number.NaN;
  const at = await scalar();
  const measure = async (step: number): Promise<number> => {
    values[index] = middle + step;
    const slope = ((await scalar()) - at) / ((values[index] ?? Number.NaN) - middle);
    values[index] = middle;
    return slope;
  };
  return { left: await measure(-STEP), right: await measure(STEP) };
}

async function compile(
  options: CheckOptions,
): Promise<{ session: InferenceSession; gradients: string[] }> {
  const { layout, batch } = options;
  const shapes = shapesOf(options);
  const writer = new GraphWriter();
  for (const [name, shape] of Object.entries(shapes)) writer.input(name, shape);
  const kernels = layout.kernels(writer, batch);
  const left = new Map<string, string>();
  const maps = (name: string): Maps => {
    const [, channels = 0, size = 0] = shapes[name] ?? [];
    return { value: layout.enter(writer, name), channels, size };
  };
  const scope: Scope = {
    writer,
    kernels,
    batch,
    parameter: (name) => name,
    gradient: (name, value) => void left.set(name, value),
    statistic: (name, value) => void left.set(name, value),
  };
  const plain = (found: Maps): string => layout.leave(writer, found);
  const written = options.write({ writer, kernels, scope, layout, left, maps, plain });
  writer.output('output', written.output, options.upstream ?? []);
  for (const [name, value] of Object.entries(written.gradients))
    writer.output(`gradient_${name}`, value, shapes[name] ?? []);
  const session = await InferenceSession.create(writer.model({ name: 'check' }), {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
  });
  return { session, gradients: Object.keys(written.gradients) };
}

function shapesOf({ inputs, upstream }: CheckOptions): Inputs {
  return upstream ? { ...inputs, upstream } : inputs;
}

function feedsOf(
  inputs: ReadonlyMap<string, Float32Array>,
  shapes: Inputs,
): Record<string, Tensor> {
  const entries = [...inputs].map(([name, values]): [string, Tensor] => [
    name,
    new Tensor('float32', values, shapes[name] ?? []),
  ]);
  return Object.fromEntries(entries);
}

/** The sum in double precision. */
function weighed(
  found: InferenceSession.OnnxValueMapType,
  upstream: Float32Array | undefined,
): number {
  const output = found['output']?.data as Float32Array;
  if (!upstream) return output[0] ?? Number.NaN;
  return output.reduce((sum, value, index) => sum + value * (upstream[index] ?? Number.NaN), 0);
}

function lengthOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
