import type { Maps } from '../kernels.js';
import type { Block, Unit } from '../networks.js';
import type { Layer, Scope } from '../scope.js';
import { batchNorm } from './batch-norm.js';
import { convolution } from './convolution.js';

/**
 * The basic residual block (He et al. 2015): two 3x3 convolutions beside a shortcut. Where the shape changes, the shortcut averages
 * 2x2 pixels (if the size is halved) and is a 1x1 convolution.
 */
export function residualBlock(scope: Scope, block: Block, input: Maps): Layer {
  const { kernels } = scope;
  const first = convolution(scope, block.first.name, input, block.first.shape);
  const firstNorm = batchNorm(scope, block.first.name, first.output, { relu: true });
  const shortcut = block.shortcut ? projection(scope, block.shortcut, input) : identity(input);
  const second = convolution(scope, block.second.name, firstNorm.output, block.second.shape);
  const options = { add: shortcut.output, relu: true };
  const secondNorm = batchNorm(scope, block.second.name, second.output, options);
  return {
    output: secondNorm.output,
    backward: (gradient) => {
      const outer = kernels.wherePositive(secondNorm.output, gradient);
      const middle = second.backward(secondNorm.backward(outer));
      const inner = kernels.wherePositive(firstNorm.output, middle);
      const main = first.backward(firstNorm.backward(inner));
      return kernels.sum(main, shortcut.backward(outer));
    },
  };
}

function identity(input: Maps): Layer {
  return { output: input, backward: (gradient) => gradient };
}

function projection(scope: Scope, unit: Unit & { halves: boolean }, input: Maps): Layer {
  const { kernels } = scope;
  const pooled = unit.halves ? kernels.pool(input) : input;
  const projected = convolution(scope, unit.name, pooled, unit.shape);
  const norm = batchNorm(scope, unit.name, projected.output);
  return {
    output: norm.output,
    backward: (gradient) => {
      const found = projected.backward(norm.backward(gradient));
      return unit.halves ? kernels.poolGradient(found) : found;
    },
  };
}
