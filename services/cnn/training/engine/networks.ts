import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../../runtime/errors.js';
import type { NetworkSpec } from './engine.js';
import type { Convolution } from './kernels.js';

/** Of pictures: red, green, blue. */
export const PICTURE_CHANNELS = 3;

/** A convolution and the batch norm behind it. */
export interface Unit {
  readonly name: string;
  readonly shape: Convolution;
}

export interface Block {
  readonly first: Unit;
  readonly second: Unit;
  /** Where input and output differ in shape; `halves`: behind an average over 2x2 pixels. */
  readonly shortcut?: Unit & { readonly halves: boolean };
}

/** The layers of a network, as data: training graph and exported graph are made from the same. */
export interface Architecture {
  readonly stem: Unit;
  readonly blocks: readonly Block[];
  /** Channels that the head averages. */
  readonly features: number;
  readonly classes: number;
}

const SHAPES = {
  small: { widths: [16, 32, 64], depths: [1, 1, 1] },
  standard: { widths: [32, 64, 112, 160], depths: [1, 2, 2, 1] },
} as const;

export type NetworkName = keyof typeof SHAPES;

export const NETWORK_NAMES = Object.keys(SHAPES) as readonly NetworkName[];

/** A network of the house: `small` has 78,000 weights, for simple pictures; `standard` has 975,000. */
export function networkSpec(name: NetworkName, classes: number): NetworkSpec {
  return { name, ...SHAPES[name], classes };
}

/** Throws where a network can't be built from this. */
export function checkNetwork({ name, widths, depths, classes }: NetworkSpec): void {
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0;
  const wrong = (what: string): FractoryError =>
    new FractoryError(status.INVALID_ARGUMENT, 'WRONG_NETWORK', `network ${name} ${what}`);
  if (widths.length === 0 || widths.length !== depths.length)
    throw wrong(`has ${String(widths.length)} widths and ${String(depths.length)} depths`);
  if (!widths.every(isCount) || !depths.every(isCount))
    throw wrong(
      `has widths ${widths.join(', ')} and depths ${depths.join(', ')}, they are at least 1`,
    );
  if (!isCount(classes) || classes < 2) throw wrong(`has ${String(classes)} classes, it takes 2`);
}

/** Pictures must be a multiple of this wide and high: the stem and each stage but the first halve them. */
export function sizeStep(network: NetworkSpec): number {
  return 2 ** network.widths.length;
}

export function architectureOf({ widths, depths, classes }: NetworkSpec): Architecture {
  const first = widths[0] ?? 0;
  const blocks: Block[] = [];
  let inputs = first;
  for (const [stage, outputs] of widths.entries()) {
    for (let index = 0; index < (depths[stage] ?? 0); index += 1) {
      const stride = stage > 0 && index === 0 ? 2 : 1;
      blocks.push(
        block(`stage${String(stage + 1)}.block${String(index + 1)}`, inputs, outputs, stride),
      );
      inputs = outputs;
    }
  }
  const stem = { inputs: PICTURE_CHANNELS, outputs: first, kernel: 5, stride: 2 } as const;
  return { stem: { name: 'stem', shape: stem }, blocks, features: inputs, classes };
}

function block(name: string, inputs: number, outputs: number, stride: 1 | 2): Block {
  const unit = (part: string, shape: Convolution): Unit => ({ name: `${name}.${part}`, shape });
  const convolutions = {
    first: unit('first', { inputs, outputs, kernel: 3, stride }),
    second: unit('second', { inputs: outputs, outputs, kernel: 3, stride: 1 }),
  };
  if (inputs === outputs && stride === 1) return convolutions;
  const shape = { inputs, outputs, kernel: 1, stride: 1 } as const;
  return { ...convolutions, shortcut: { ...unit('shortcut', shape), halves: stride === 2 } };
}

/** All units in the order in which they are computed. */
export function unitsOf({ stem, blocks }: Architecture): Unit[] {
  const ofBlocks = blocks.flatMap(({ first, second, shortcut }) =>
    shortcut ? [first, shortcut, second] : [first, second],
  );
  return [stem, ...ofBlocks];
}
