import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { Card } from '../../../services/cnn/card.js';
import { GraphWriter } from '../../../services/cnn/onnx/graph-writer.js';

/**
 * A tiny ONNX model whose answer is known exactly: the average of each channel.
 * NCHW: GlobalAveragePool, Flatten. NHWC: ReduceMean over axes 1 and 2.
 */
export function averagingModel(layout: 'NCHW' | 'NHWC', channels: number): Uint8Array {
  const writer = new GraphWriter();
  const isFirst = layout === 'NCHW';
  const shape = isFirst ? [1, channels, 'side', 'side'] : [1, 'side', 'side', channels];
  writer.input('pixels', shape);
  if (isFirst) {
    const pooled = writer.node('GlobalAveragePool', ['pixels']);
    writer.node('Flatten', [pooled], {}, '', 'averages');
  } else {
    writer.node('ReduceMean', ['pixels'], { axes: [1, 2], keepdims: 0 }, '', 'averages');
  }
  writer.output('averages', 'averages', [1, channels]);
  return writer.model({ name: 'averages' });
}

/** The card of an averaging model for pictures of 8x8 pixels: the "probabilities" are the averages of the channels. */
export function averagingCard(name: string, changes: Partial<Card['input']> = {}): Card {
  const { layout = 'NCHW', channels = 3 } = changes;
  return {
    name,
    version: 1,
    summary: 'averages of the channels',
    input: {
      name: 'pixels',
      layout,
      width: 8,
      height: 8,
      channels,
      colorOrder: 'RGB',
      scale: 255,
      mean: Array.from({ length: channels }, () => 0),
      std: Array.from({ length: channels }, () => 1),
      resize: 'cover',
      ...changes,
    },
    output: { name: 'averages', activation: 'none' },
    labels: ['first', 'second', 'third'].slice(0, channels),
    sha256: createHash('sha256').update(averagingModel(layout, channels)).digest('hex'),
    license: 'Apache-2.0',
    origin: { made: 'by a test' },
  };
}

/** Writes a model and its card under `root`; returns the folder. */
export async function installModel(
  root: string,
  card: Card,
  model: Uint8Array = averagingModel(card.input.layout, card.input.channels),
): Promise<string> {
  const folder = path.join(root, card.name, String(card.version));
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'model.onnx'), model);
  await writeFile(path.join(folder, 'model.json'), JSON.stringify(card));
  return folder;
}
