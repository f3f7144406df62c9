import type { Maps } from './kernels.js';
import { batchNorm } from './layers/batch-norm.js';
import { firstConvolution } from './layers/convolution.js';
import { dense, globalPool } from './layers/head.js';
import { residualBlock } from './layers/residual-block.js';
import type { Architecture } from './networks.js';
import type { Layer, Scope } from './scope.js';

/** The whole network, from pictures to logits [batch, classes]. */
export function network(
  scope: Scope,
  { stem, blocks }: Architecture,
  pictures: Maps,
): { readonly logits: string; readonly backward: (gradient: string) => void } {
  const first = firstConvolution(scope, stem.name, pictures, stem.shape);
  const norm = batchNorm(scope, stem.name, first.output, { relu: true });
  const layers: Layer[] = [];
  let maps = norm.output;
  for (const block of blocks) {
    const layer = residualBlock(scope, block, maps);
    layers.push(layer);
    maps = layer.output;
  }
  const pooled = globalPool(scope, maps);
  const head = dense(scope, 'head', pooled.output);
  return {
    logits: head.output,
    backward: (gradient) => {
      let ofMaps = pooled.backward(head.backward(gradient));
      for (const layer of layers.toReversed()) ofMaps = layer.backward(ofMaps);
      first.backward(norm.backward(scope.kernels.wherePositive(norm.output, ofMaps)));
    },
  };
}
