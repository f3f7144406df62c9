import { InferenceSession, Tensor } from 'onnxruntime-node';

import { GraphWriter } from '../../onnx/graph-writer.js';
import { BLOCKED_DOMAIN } from './blocked-kernels.js';

const CHANNELS = 64;

/**
 * How many channels stand together in ONNX Runtime's blocked layout on this machine: 16 with AVX-512, 8 with AVX2; 0 where it has none.
 * Found by asking: channel 1 of two pixels stands behind channel 0 of the first pixel in it, channel `block` behind the whole block.
 */
export async function blockSize(): Promise<number> {
  const writer = new GraphWriter();
  writer.input('plain', [1, CHANNELS, 1, 2]);
  const blocked = writer.node('ReorderInput', ['plain'], {}, BLOCKED_DOMAIN);
  writer.output('blocked', blocked, [1, CHANNELS, 1, 2]);
  let order: Float32Array;
  try {
    const session = await InferenceSession.create(writer.model({ name: 'layout' }), {
      logSeverityLevel: 4,
      graphOptimizationLevel: 'disabled',
    });
    const plain = Float32Array.from({ length: 2 * CHANNELS }, (_, index) => index);
    const found = await session.run({ plain: new Tensor('float32', plain, [1, CHANNELS, 1, 2]) });
    order = found['blocked']?.data as Float32Array;
    await session.release();
  } catch {
    // A runtime without these operators says so by an error: that is the answer.
    return 0;
  }
  // The second pixel of channel 0 is number 1; it comes after the first pixels of a block.
  const block = order.indexOf(1);
  return [4, 8, 16].includes(block) ? block : 0;
}
