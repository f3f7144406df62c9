import { Arithmetic } from '../arithmetic.js';
import type { Maps } from '../kernels.js';
import type { Layer, Scope } from '../scope.js';

/** Averages each map: [batch, channels]. */
export function globalPool(scope: Scope, input: Maps): Layer<Maps, string> {
  const { channels, size } = input;
  return {
    output: scope.kernels.means(input),
    backward: (gradient) => {
      const { multiply } = new Arithmetic(scope.writer);
      return scope.kernels.spread(multiply(gradient, 1 / (size * size)), channels, size);
    },
  };
}

/** input * NAME.weight [inputs, outputs] + NAME.bias. */
export function dense(scope: Scope, name: string, input: string): Layer<string> {
  const { writer } = scope;
  const weight = scope.parameter(`${name}.weight`);
  return {
    output: writer.node('Gemm', [input, weight, scope.parameter(`${name}.bias`)]),
    backward: (gradient) => {
      scope.gradient(`${name}.weight`, writer.node('Gemm', [input, gradient], { transA: 1 }));
      scope.gradient(`${name}.bias`, new Arithmetic(writer).sumOfRows(gradient));
      return writer.node('Gemm', [gradient, weight], { transB: 1 });
    },
  };
}
