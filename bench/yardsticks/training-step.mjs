// The training step of tfjs (WebAssembly back end, SIMD; Node.js gives it no threads) for bench/cnn-training.ts: reads a line per step
// from standard input, answers with its milliseconds. `npm install` in this folder first.
// The network is `standard`, with strided 1x1 shortcuts: tfjs has no gradient of average pooling on this back end.
import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { createRequire } from 'node:module';
import path from 'node:path';

const [batch, size] = process.argv.slice(2).map(Number);
const widths = [32, 64, 112, 160];
const depths = [1, 2, 2, 1];

const require = createRequire(import.meta.url);
setWasmPaths(`${path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
await tf.setBackend('wasm');

// tfjs can't train convolutions on this back end: it lacks one kernel. A convolution of the input by the gradient, pictures and channels
// exchanged, is the same; the dilation stands for the stride.
tf.registerKernel({
  kernelName: 'Conv2DBackpropFilter',
  backendName: 'wasm',
  kernelFunc: ({ inputs: { x, dy }, attrs: { strides, pad, filterShape } }) => {
    const stride = Array.isArray(strides) ? strides[0] : strides;
    return tf.tidy(() => {
      const [height, width] = filterShape;
      const needed = (kernel, to, from) => Math.max(0, (to - 1) * stride + kernel - from);
      const all = [needed(height, dy.shape[1], x.shape[1]), needed(width, dy.shape[2], x.shape[2])];
      const around = all.map((total) =>
        pad === 'valid' ? [0, 0] : [Math.floor(total / 2), Math.ceil(total / 2)],
      );
      const padded = tf.pad(tf.transpose(x, [3, 1, 2, 0]), [[0, 0], ...around, [0, 0]]);
      const found = tf.conv2d(padded, tf.transpose(dy, [1, 2, 0, 3]), 1, 'valid', 'NHWC', stride);
      return tf.slice(tf.transpose(found, [1, 2, 0, 3]), [0, 0, 0, 0], filterShape);
    });
  },
});

const variables = [];
const variable = (shape, deviation) => {
  const made = tf.variable(
    deviation === 0 ? tf.zeros(shape) : tf.randomNormal(shape, 0, deviation),
  );
  variables.push(made);
  return made;
};

function unit(inputs, outputs, kernel, stride) {
  const filter = variable(
    [kernel, kernel, inputs, outputs],
    Math.sqrt(2 / (inputs * kernel * kernel)),
  );
  const scale = variable([outputs], 1);
  const shift = variable([outputs], 0);
  return (x) => {
    const y = tf.conv2d(x, filter, stride, 'same');
    const mean = tf.mean(y, [0, 1, 2]);
    const centred = tf.sub(y, mean);
    const variance = tf.mean(tf.square(centred), [0, 1, 2]);
    return tf.add(tf.mul(centred, tf.mul(scale, tf.rsqrt(tf.add(variance, 1e-5)))), shift);
  };
}

function block(inputs, outputs, stride) {
  const first = unit(inputs, outputs, 3, stride);
  const second = unit(outputs, outputs, 3, 1);
  const shortcut = inputs === outputs && stride === 1 ? (x) => x : unit(inputs, outputs, 1, stride);
  return (x) => tf.relu(tf.add(second(tf.relu(first(x))), shortcut(x)));
}

const stem = unit(3, widths[0], 5, 2);
const blocks = [];
let inputs = widths[0];
for (const [stage, width] of widths.entries())
  for (let index = 0; index < depths[stage]; index += 1) {
    blocks.push(block(inputs, width, stage > 0 && index === 0 ? 2 : 1));
    inputs = width;
  }
const weight = variable([inputs, 2], 0.1);

const x = tf.randomNormal([batch, size, size, 3]);
const labels = tf.oneHot(
  tf.tensor1d(
    Array.from({ length: batch }, (_, index) => index % 2),
    'int32',
  ),
  2,
);
const optimizer = tf.train.momentum(0.01, 0.9, true);

function loss() {
  let maps = tf.relu(stem(x));
  for (const one of blocks) maps = one(maps);
  const logits = tf.matMul(tf.mean(maps, [1, 2]), weight);
  const logarithms = tf.sub(logits, tf.logSumExp(logits, 1, true));
  return tf.neg(tf.mean(tf.sum(tf.mul(logarithms, labels), 1)));
}

for await (const _ of createInterface({ input: process.stdin })) {
  const started = performance.now();
  tf.tidy(() => optimizer.minimize(loss, true, variables).dataSync());
  console.log(performance.now() - started);
}
