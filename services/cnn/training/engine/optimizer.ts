import type { GraphWriter } from '../../onnx/graph-writer.js';
import { Arithmetic } from './arithmetic.js';

export interface OptimizerOptions {
  readonly momentum: number;
  readonly weightDecay: number;
  /** Numbers in a weight vector, and how many of the first of them decay. */
  readonly length: number;
  readonly decaying: number;
}

export interface OptimizerValues {
  readonly weights: string;
  readonly momenta: string;
  readonly gradient: string;
  /** A scalar. */
  readonly learningRate: string;
}

/** Stochastic gradient descent with Nesterov's momentum; weight decay is added to the gradient, as PyTorch's SGD does. */
export function descend(
  writer: GraphWriter,
  { weights, momenta, gradient, learningRate }: OptimizerValues,
  { momentum, weightDecay, length, decaying }: OptimizerOptions,
): { readonly weights: string; readonly momenta: string } {
  const { add, subtract, multiply } = new Arithmetic(writer);
  const parts = [decaying, length - decaying];
  const [pulled = '', free = ''] = writer.split(gradient, 0, parts);
  const [pulling = ''] = writer.split(weights, 0, parts);
  const decayed = add(pulled, multiply(pulling, weightDecay));
  const total = writer.node('Concat', [decayed, free], { axis: 0 });
  const newMomenta = add(multiply(momenta, momentum), total);
  const direction = add(total, multiply(newMomenta, momentum));
  return {
    weights: subtract(weights, multiply(direction, learningRate)),
    momenta: newMomenta,
  };
}

/** old + (recent - old) * share. */
export function approach(writer: GraphWriter, old: string, recent: string, share: string): string {
  const { add, subtract, multiply } = new Arithmetic(writer);
  return add(old, multiply(subtract(recent, old), share));
}
