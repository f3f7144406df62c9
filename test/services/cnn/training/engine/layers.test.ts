import { filterShape } from '../../../../../services/cnn/training/engine/filters.js';
import type { Convolution } from '../../../../../services/cnn/training/engine/kernels.js';
import { batchNorm } from '../../../../../services/cnn/training/engine/layers/batch-norm.js';
import {
  convolution,
  firstConvolution,
} from '../../../../../services/cnn/training/engine/layers/convolution.js';
import { dense, globalPool } from '../../../../../services/cnn/training/engine/layers/head.js';
import { residualBlock } from '../../../../../services/cnn/training/engine/layers/residual-block.js';
import type { Block } from '../../../../../services/cnn/training/engine/networks.js';
import { suite } from '../../../../suite.js';
import { checkGradients, layouts, type Inputs, type Layout } from './gradient-check.js';

const SEED = 17;
const BATCH = 3;
const kinds = await layouts();

const CONVOLUTIONS: readonly (Convolution & { readonly size: number })[] = [
  { inputs: 16, outputs: 32, kernel: 3, stride: 1, size: 5 },
  { inputs: 16, outputs: 32, kernel: 3, stride: 2, size: 6 },
  { inputs: 32, outputs: 16, kernel: 1, stride: 1, size: 4 },
  { inputs: 32, outputs: 48, kernel: 3, stride: 1, size: 2 },
];

const SAME: Block = {
  first: { name: 'a', shape: { inputs: 16, outputs: 16, kernel: 3, stride: 1 } },
  second: { name: 'b', shape: { inputs: 16, outputs: 16, kernel: 3, stride: 1 } },
};

const HALVING: Block = {
  first: { name: 'a', shape: { inputs: 16, outputs: 32, kernel: 3, stride: 2 } },
  second: { name: 'b', shape: { inputs: 32, outputs: 32, kernel: 3, stride: 1 } },
  shortcut: { name: 's', shape: { inputs: 16, outputs: 32, kernel: 1, stride: 1 }, halves: true },
};

suite('gradients of layers against central differences', (test) => {
  for (const layout of kinds) {
    for (const shape of CONVOLUTIONS)
      test(`${describe(shape)}, ${layout.name}`, () => checkConvolution(layout, shape));

    test(`first convolution, 5x5 on pictures, ${layout.name}`, async () => {
      const shape = { inputs: 3, outputs: 16, kernel: 5, stride: 2 } as const;
      await checkGradients({
        layout,
        batch: BATCH,
        seed: SEED,
        inputs: { pixels: [BATCH, 3, 8, 8], 'stem.filters': filterShape(shape) },
        upstream: [BATCH, 16, 4, 4],
        write: ({ scope, maps, plain, left }) => {
          const pictures = { value: 'pixels', channels: 3, size: 8 };
          const layer = firstConvolution(scope, 'stem', pictures, shape);
          layer.backward(maps('upstream'));
          return { output: plain(layer.output), gradients: Object.fromEntries(left) };
        },
      });
    });

    test(`batch norm, ${layout.name}`, () =>
      checkGradients({
        layout,
        batch: BATCH,
        seed: SEED,
        inputs: { x: [BATCH, 16, 4, 4], 'n.scale': [16], 'n.shift': [16] },
        upstream: [BATCH, 16, 4, 4],
        write: ({ scope, maps, plain, left }) => {
          const layer = batchNorm(scope, 'n', maps('x'));
          const x = plain(layer.backward(maps('upstream')));
          const { 'n.scale': scale = '', 'n.shift': shift = '' } = Object.fromEntries(left);
          return {
            output: plain(layer.output),
            gradients: { x, 'n.scale': scale, 'n.shift': shift },
          };
        },
      }));

    test(`batch norm with addition and ReLU, ${layout.name}`, () =>
      checkGradients({
        layout,
        batch: BATCH,
        seed: SEED,
        inputs: {
          x: [BATCH, 16, 4, 4],
          side: [BATCH, 16, 4, 4],
          'n.scale': [16],
          'n.shift': [16],
        },
        upstream: [BATCH, 16, 4, 4],
        write: ({ scope, kernels, maps, plain, left }) => {
          const layer = batchNorm(scope, 'n', maps('x'), { add: maps('side'), relu: true });
          const gradient = kernels.wherePositive(layer.output, maps('upstream'));
          const x = plain(layer.backward(gradient));
          const { 'n.scale': scale = '' } = Object.fromEntries(left);
          return {
            output: plain(layer.output),
            gradients: { x, side: plain(gradient), 'n.scale': scale },
          };
        },
      }));

    test(`average over 2x2 pixels, ${layout.name}`, () =>
      checkGradients({
        layout,
        batch: BATCH,
        seed: SEED,
        inputs: { x: [BATCH, 32, 6, 6] },
        upstream: [BATCH, 32, 3, 3],
        write: ({ kernels, maps, plain }) => ({
          output: plain(kernels.pool(maps('x'))),
          gradients: { x: plain(kernels.poolGradient(maps('upstream'))) },
        }),
      }));

    test(`average over the map, ${layout.name}`, () =>
      checkGradients({
        layout,
        batch: BATCH,
        seed: SEED,
        inputs: { x: [BATCH, 32, 5, 5] },
        upstream: [BATCH, 32],
        write: ({ scope, maps, plain }) => {
          const layer = globalPool(scope, maps('x'));
          return { output: layer.output, gradients: { x: plain(layer.backward('upstream')) } };
        },
      }));

    test(`residual block of one shape, ${layout.name}`, () => checkBlock(layout, SAME, 16, 16, 1));
    test(`residual block that widens and halves, ${layout.name}`, () =>
      checkBlock(layout, HALVING, 16, 32, 2));
  }

  test('dense layer', () =>
    checkGradients({
      layout: kinds[0]!,
      batch: BATCH,
      seed: SEED,
      inputs: { x: [BATCH, 7], 'd.weight': [7, 4], 'd.bias': [4] },
      upstream: [BATCH, 4],
      write: ({ scope, left }) => {
        const layer = dense(scope, 'd', 'x');
        const x = layer.backward('upstream');
        return { output: layer.output, gradients: { x, ...Object.fromEntries(left) } };
      },
    }));
});

function describe({ inputs, outputs, kernel, stride }: Convolution): string {
  return `${String(kernel)}x${String(kernel)} convolution ${String(inputs)} to ${String(outputs)}, stride ${String(stride)}`;
}

function checkConvolution(
  layout: Layout,
  shape: Convolution & { readonly size: number },
): Promise<void> {
  const { inputs, outputs, stride, size } = shape;
  return checkGradients({
    layout,
    batch: BATCH,
    seed: SEED,
    inputs: { x: [BATCH, inputs, size, size], 'c.filters': filterShape(shape) },
    upstream: [BATCH, outputs, size / stride, size / stride],
    write: ({ scope, maps, plain, left }) => {
      const layer = convolution(scope, 'c', maps('x'), shape);
      const x = plain(layer.backward(maps('upstream')));
      return { output: plain(layer.output), gradients: { x, ...Object.fromEntries(left) } };
    },
  });
}

function checkBlock(
  layout: Layout,
  block: Block,
  from: number,
  to: number,
  stride: number,
): Promise<void> {
  const size = 4;
  const units = [block.first, block.second, ...(block.shortcut ? [block.shortcut] : [])];
  const parameters: Inputs = Object.fromEntries(
    units.flatMap(({ name, shape }) => [
      [`${name}.filters`, filterShape(shape)],
      [`${name}.scale`, [shape.outputs]],
      [`${name}.shift`, [shape.outputs]],
    ]),
  );
  return checkGradients({
    layout,
    batch: BATCH,
    seed: SEED,
    inputs: { x: [BATCH, from, size, size], ...parameters },
    upstream: [BATCH, to, size / stride, size / stride],
    write: ({ scope, maps, plain, left }) => {
      const layer = residualBlock(scope, block, maps('x'));
      const x = plain(layer.backward(maps('upstream')));
      const gradients = [...left].filter(([name]) => Object.hasOwn(parameters, name));
      return { output: plain(layer.output), gradients: { x, ...Object.fromEntries(gradients) } };
    },
  });
}
