import { ModelProto } from '../../../protos/gen/onnx/onnx.js';
import type { OnnxHead } from './signature.js';

/** Layers with weights whose input is a description of the picture. */
const LAYERS: ReadonlySet<string> = new Set(['Gemm', 'MatMul', 'Conv']);

/**
 * The tensor before the last layer with weights (Gemm, MatMul, Conv) on the way to an output: what the network makes of a picture before it decides.
 * Undefined where there is none, or where that layer sees the picture itself.
 */
export function findEmbedding(
  { nodes, weights, signature }: OnnxHead,
  output: string,
): string | undefined {
  const inputs = new Set(signature.inputs.map(({ name }) => name));
  const isComputed = computedFrom(nodes, inputs);
  // Nodes stand in the order in which they are computed, so from the back each is met after all that use it.
  const wanted = new Set([output]);
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    const [data, ...others] = node.inputs.slice(0, 2).filter((name) => isComputed.has(name));
    const isLayer = LAYERS.has(node.type) && data !== undefined && others.length === 0;
    if (isLayer) return inputs.has(data) ? undefined : data;
    for (const name of node.inputs) if (!weights.has(name)) wanted.add(name);
  }
  return undefined;
}

/** The tensors that depend on the inputs; all others are constants. */
function computedFrom(nodes: OnnxHead['nodes'], inputs: ReadonlySet<string>): Set<string> {
  const computed = new Set(inputs);
  for (const node of nodes)
    if (node.inputs.some((name) => computed.has(name)))
      for (const name of node.outputs) computed.add(name);
  return computed;
}

/** Names of all tensors that a model computes. */
export function innerTensors({ nodes }: OnnxHead): Set<string> {
  return new Set(nodes.flatMap(({ outputs }) => outputs));
}

/**
 * The model with an inner tensor as a further output, its type left to the runtime. A protobuf message that is followed by another one is both merged,
 * so whatever a foreign file holds stays as it is.
 */
export function appendOutput(model: Uint8Array, name: string): Uint8Array {
  const further = ModelProto.encode(
    ModelProto.fromPartial({ graph: { output: [{ name }] } }),
  ).finish();
  const joined = new Uint8Array(model.length + further.length);
  joined.set(model);
  joined.set(further, model.length);
  return joined;
}
