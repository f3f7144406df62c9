import { Arithmetic } from '../arithmetic.js';
import type { AffineOptions, Maps } from '../kernels.js';
import type { Layer, Scope } from '../scope.js';

/** Added to variances: a channel that is the same everywhere has none. */
export const EPSILON = 1e-5;

/**
 * Batch normalisation (Ioffe and Szegedy 2015), with what mostly follows it done in the same pass over memory: an addition and a ReLU.
 * Parameters NAME.scale and NAME.shift; statistics NAME.mean and NAME.variance (of the batch; unbiased).
 *
 * With x^ = (x - mean) / deviation, the gradient by x is scale / deviation * (dy - mean(dy) - x^ * mean(dy * x^)), here as two
 * factors and an addend per channel: a * dy + b * x + c. `backward` takes the gradient before addition and ReLU.
 */
export function batchNorm(
  scope: Scope,
  name: string,
  input: Maps,
  options: AffineOptions = {},
): Layer {
  const { kernels } = scope;
  const { add, subtract, multiply, divide, squareRoot, maximum, sumOfRows, negative } =
    new Arithmetic(scope.writer);
  const pixels = scope.batch * input.size * input.size;
  const averageOf = (maps: Maps): string => divide(sumOfRows(kernels.means(maps)), scope.batch);
  const averageProduct = (a: Maps, b: Maps): string =>
    divide(sumOfRows(kernels.products(a, b)), pixels);

  const scale = scope.parameter(`${name}.scale`);
  const mean = averageOf(input);
  const variance = maximum(subtract(averageProduct(input, input), multiply(mean, mean)), 0);
  const deviation = squareRoot(add(variance, EPSILON));
  const factor = divide(scale, deviation);
  const shift = subtract(scope.parameter(`${name}.shift`), multiply(mean, factor));
  scope.statistic(`${name}.mean`, mean);
  scope.statistic(`${name}.variance`, multiply(variance, pixels / Math.max(1, pixels - 1)));

  return {
    output: kernels.affine(input, factor, shift, options),
    backward: (gradient) => {
      const average = averageOf(gradient);
      const product = subtract(averageProduct(gradient, input), multiply(mean, average));
      const normalised = divide(product, deviation);
      scope.gradient(`${name}.scale`, multiply(normalised, pixels));
      scope.gradient(`${name}.shift`, multiply(average, pixels));
      const ofInput = negative(divide(multiply(factor, normalised), deviation));
      const rest = negative(add(multiply(ofInput, mean), multiply(factor, average)));
      const first = kernels.affine(input, ofInput, rest);
      return kernels.affine(gradient, factor, undefined, { add: first });
    },
  };
}
