import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { Card } from '../../../services/cnn/card.js';

/**
 * A tiny ONNX model (onnx.proto, IR version 8, opset 13) whose answer is known exactly: the average of each channel.
 * NCHW: GlobalAveragePool, Flatten. NHWC: ReduceMean over axes 1 and 2.
 */
export function averagingModel(layout: 'NCHW' | 'NHWC', channels: number): Uint8Array {
  const nodes =
    layout === 'NCHW'
      ? [node('GlobalAveragePool', 'pixels', 'pooled'), node('Flatten', 'pooled', 'averages')]
      : [node('ReduceMean', 'pixels', 'averages', { axes: [1, 2], keepdims: 0 })];
  const shape = layout === 'NCHW' ? [1, channels, -1, -1] : [1, -1, -1, channels];
  const graph = new BinaryWriter();
  for (const one of nodes) graph.uint32((1 << 3) | 2).bytes(one);
  graph.uint32((2 << 3) | 2).string('averages');
  graph.uint32((11 << 3) | 2).bytes(tensorInfo('pixels', shape));
  graph.uint32((12 << 3) | 2).bytes(tensorInfo('averages', [1, channels]));
  const opset = new BinaryWriter()
    .uint32((2 << 3) | 0)
    .int64(13)
    .finish();
  return new BinaryWriter()
    .uint32((1 << 3) | 0)
    .int64(8)
    .uint32((7 << 3) | 2)
    .bytes(graph.finish())
    .uint32((8 << 3) | 2)
    .bytes(opset)
    .finish();
}

function node(
  type: string,
  input: string,
  output: string,
  attributes: Readonly<Record<string, number | number[]>> = {},
): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32((1 << 3) | 2).string(input);
  writer.uint32((2 << 3) | 2).string(output);
  writer.uint32((4 << 3) | 2).string(type);
  for (const [name, value] of Object.entries(attributes)) {
    const attribute = new BinaryWriter().uint32((1 << 3) | 2).string(name);
    if (typeof value === 'number') attribute.uint32((3 << 3) | 0).int64(value);
    else for (const one of value) attribute.uint32((8 << 3) | 0).int64(one);
    // AttributeProto.type: INT = 2, INTS = 7.
    attribute.uint32((20 << 3) | 0).int32(typeof value === 'number' ? 2 : 7);
    writer.uint32((5 << 3) | 2).bytes(attribute.finish());
  }
  return writer.finish();
}

function tensorInfo(name: string, shape: readonly number[]): Uint8Array {
  const dimensions = new BinaryWriter();
  for (const size of shape) {
    const dimension = new BinaryWriter();
    if (size < 0) dimension.uint32((2 << 3) | 2).string('side');
    else dimension.uint32((1 << 3) | 0).int64(size);
    dimensions.uint32((1 << 3) | 2).bytes(dimension.finish());
  }
  // TypeProto.Tensor: element type FLOAT = 1, shape.
  const tensor = new BinaryWriter().uint32((1 << 3) | 0).int32(1);
  tensor.uint32((2 << 3) | 2).bytes(dimensions.finish());
  const type = new BinaryWriter().uint32((1 << 3) | 2).bytes(tensor.finish());
  return new BinaryWriter()
    .uint32((1 << 3) | 2)
    .string(name)
    .uint32((2 << 3) | 2)
    .bytes(type.finish())
    .finish();
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
