import type { GraphWriter } from '../../onnx/graph-writer.js';

type Operand = string | number;

/** Short forms for formulas over small vectors; numbers become constants. */
export class Arithmetic {
  readonly #writer: GraphWriter;

  constructor(writer: GraphWriter) {
    this.#writer = writer;
  }

  readonly add = (a: Operand, b: Operand): string => this.#binary('Add', a, b);
  readonly subtract = (a: Operand, b: Operand): string => this.#binary('Sub', a, b);
  readonly multiply = (a: Operand, b: Operand): string => this.#binary('Mul', a, b);
  readonly divide = (a: Operand, b: Operand): string => this.#binary('Div', a, b);
  readonly negative = (a: Operand): string => this.#writer.node('Neg', [this.#value(a)]);
  readonly squareRoot = (a: Operand): string => this.#writer.node('Sqrt', [this.#value(a)]);
  readonly maximum = (a: Operand, b: Operand): string => this.#binary('Max', a, b);

  /** Sum over the first axis, which goes. */
  readonly sumOfRows = (matrix: string): string =>
    this.#writer.node('ReduceSum', [matrix, this.#writer.integers([0])], { keepdims: 0 });

  #binary(type: string, a: Operand, b: Operand): string {
    return this.#writer.node(type, [this.#value(a), this.#value(b)]);
  }

  #value(operand: Operand): string {
    return typeof operand === 'number' ? this.#writer.scalar(operand) : operand;
  }
}
