import { TensorProto_DataType } from '../../../../../protos/gen/onnx/onnx.js';
import { Arithmetic } from '../arithmetic.js';
import type { Scope } from '../scope.js';

export interface CrossEntropy {
  /** Mean over the batch. */
  readonly loss: string;
  /** Right answers in the batch, as a float. */
  readonly correct: string;
  /** Of the mean loss, by the logits. */
  readonly gradient: string;
}

/**
 * Softmax and cross-entropy with label smoothing: the right class is 1 - smoothing, and `smoothing` is shared by all classes.
 * `labels`: 64-bit integers [batch].
 */
export function crossEntropy(
  { writer, batch }: Pick<Scope, 'writer' | 'batch'>,
  logits: string,
  labels: string,
  { classes, smoothing }: { readonly classes: number; readonly smoothing: number },
): CrossEntropy {
  const { subtract, multiply, divide } = new Arithmetic(writer);
  const share = smoothing / classes;
  const targets = writer.node(
    'OneHot',
    [labels, writer.integers([classes]), writer.floats([2], [share, 1 - smoothing + share])],
    { axis: 1 },
  );
  const logarithms = writer.node('LogSoftmax', [logits], { axis: 1 });
  const total = writer.node('ReduceSum', [multiply(targets, logarithms)], { keepdims: 0 });
  const found = writer.node('ArgMax', [logits], { axis: 1, keepdims: 0 });
  const isRight = writer.node('Equal', [found, labels]);
  const right = writer.node('Cast', [isRight], { to: TensorProto_DataType.FLOAT });
  const difference = subtract(writer.node('Softmax', [logits], { axis: 1 }), targets);
  return {
    loss: divide(total, -batch),
    correct: writer.node('ReduceSum', [right], { keepdims: 0 }),
    gradient: divide(difference, batch),
  };
}
