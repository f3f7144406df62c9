import type { Convolution, Maps } from '../kernels.js';
import type { Layer, Scope } from '../scope.js';

/** A convolution without bias; its filter is the parameter NAME.filters. */
export function convolution(scope: Scope, name: string, input: Maps, shape: Convolution): Layer {
  const { kernels } = scope;
  const filter = scope.parameter(`${name}.filters`);
  return {
    output: kernels.convolve(input, filter, shape),
    backward: (gradient) => {
      scope.gradient(`${name}.filters`, kernels.filterGradient(input, gradient, shape));
      return kernels.inputGradient(gradient, filter, shape);
    },
  };
}

/** The first convolution: nobody asks for the gradient of the pictures. */
export function firstConvolution(
  scope: Scope,
  name: string,
  pictures: Maps,
  shape: Convolution,
): { readonly output: Maps; readonly backward: (gradient: Maps) => void } {
  const filter = scope.parameter(`${name}.filters`);
  return {
    output: scope.kernels.convolve(pictures, filter, shape),
    backward: (gradient) => {
      const found = scope.kernels.filterGradient(pictures, gradient, shape);
      scope.gradient(`${name}.filters`, found);
    },
  };
}
