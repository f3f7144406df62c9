import { permutation, randomOf } from '../random.js';

/** What a training is, apart from its data and its network. Kept in checkpoints: the same plan and data give the same weights. */
export interface TrainingPlan {
  readonly epochs: number;
  /** Pictures of a step. */
  readonly batch: number;
  readonly stepsPerEpoch: number;
  readonly seed: bigint;
  /** Width and height of the pictures that the network sees while it learns, pixels: small ones first, which is cheaper and no worse. */
  readonly sizes: readonly [small: number, medium: number, large: number];
  /** The same of those that it will be served, and evaluated, with. */
  readonly servedSidePx: number;
  /** Whether large parts of pictures may be missing in training: good for photographs, bad for drawings of one small thing. */
  readonly strongViews: boolean;
  readonly peakLearningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly labelSmoothing: number;
  readonly averaging: number;
}

/** Network inputs are whole multiples of this: every stage halves the picture. */
export const SIZE_STEP = 16;
const LARGEST_BATCH = 128;
const SMALLEST_BATCH = 16;
/** Fewer steps teach little, whatever their size: few pictures, or few epochs, make small batches. */
const STEPS_WANTED = 2000;
const USUAL_SMALLEST_BATCH = 32;
/** For batches of 32 down to 16: an epoch of fewer steps than that is mostly chance. */
const STEPS_OF_EPOCH = 4;
const LEAST_USUAL_EPOCHS = 20;
const MOST_USUAL_EPOCHS = 200;
/** Of 32 pictures. */
const USUAL_STEPS = 2800;
/** Of a step, at its largest: its memory grows with them, to a few GiB. */
const MOST_PIXELS = LARGEST_BATCH * 96 ** 2;
/** For a batch of 128; smaller batches take smaller steps. */
const PEAK_LEARNING_RATE = 0.15;
const RISE = 0.15;
const START_DIVISOR = 25;
const END_DIVISOR = 1e4;
/** Of all steps, how many the averaged weights look back on. */
const AVERAGED_SHARE = 1 / 12;
const MOST_AVERAGING = 0.998;
const MEDIUM_SCALE = 1.25;
const LARGE_SCALE = 1.5;
const SERVED_SCALE = 1.75;
const MEDIUM_FROM = 0.4;
const LARGE_FROM = 0.75;
const GENTLE_FROM = 0.9;

/** How often pictures are seen where nobody says it: a network that has seen too few of them has learned nothing at all. */
export function usualEpochs(pictures: number): number {
  const wanted = Math.ceil((USUAL_STEPS * USUAL_SMALLEST_BATCH) / pictures);
  return Math.min(MOST_USUAL_EPOCHS, Math.max(LEAST_USUAL_EPOCHS, wanted));
}

/** The plan for so many training pictures. `size` is the smallest width that is trained with. */
export function planTraining(
  given: {
    readonly epochs: number;
    readonly size: number;
    readonly seed: bigint;
    readonly strongViews: boolean;
  },
  pictures: number,
): TrainingPlan {
  const { epochs, size, seed, strongViews } = given;
  const sizes = [stepped(size), stepped(size * MEDIUM_SCALE), stepped(size * LARGE_SCALE)] as const;
  const batch = batchFor(pictures, epochs, sizes[2]);
  const stepsPerEpoch = Math.max(1, Math.floor(pictures / batch));
  const steps = epochs * stepsPerEpoch;
  return {
    ...{ epochs, seed, batch, stepsPerEpoch, strongViews },
    sizes,
    servedSidePx: servedSizeFor(size, strongViews),
    peakLearningRate: (PEAK_LEARNING_RATE * batch) / LARGEST_BATCH,
    momentum: 0.9,
    weightDecay: 5e-4,
    labelSmoothing: 0.1,
    averaging: Math.min(MOST_AVERAGING, Math.max(0, 1 - 1 / (steps * AVERAGED_SHARE))),
  };
}

function batchFor(pictures: number, epochs: number, largestPx: number): number {
  let batch = LARGEST_BATCH;
  while (batch > USUAL_SMALLEST_BATCH && pictures * epochs < batch * STEPS_WANTED) batch /= 2;
  while (batch > SMALLEST_BATCH && pictures < batch * STEPS_OF_EPOCH) batch /= 2;
  while (batch > 1 && batch * largestPx ** 2 > MOST_PIXELS) batch /= 2;
  return Math.min(batch, pictures);
}

function stepped(size: number): number {
  return Math.round(size / SIZE_STEP) * SIZE_STEP;
}

/** One cycle (Smith and Topin 2019): up to the peak over the first 15 % of the steps and down to next to nothing, each along a cosine. `step` counts from 0. */
export function learningRateAt(plan: TrainingPlan, step: number): number {
  const { peakLearningRate: peak, epochs, stepsPerEpoch } = plan;
  const last = epochs * stepsPerEpoch - 1;
  const top = Math.max(1, RISE * (last + 1) - 1);
  const start = peak / START_DIVISOR;
  if (step <= top) return along(start, peak, step / top);
  return along(peak, start / END_DIVISOR, (step - top) / Math.max(1, last - top));
}

function along(from: number, to: number, share: number): number {
  return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * Math.min(1, share)));
}

/** How an epoch shows its pictures; epochs count from 0. */
export function showingAt(
  { epochs, sizes, strongViews }: TrainingPlan,
  epoch: number,
): { readonly size: number; readonly gentle: boolean } {
  const progress = epoch / epochs;
  const [small, medium, large] = sizes;
  return {
    size: progress < MEDIUM_FROM ? small : progress < LARGE_FROM ? medium : large,
    gentle: !strongViews || progress >= GENTLE_FROM,
  };
}

/** Which pictures each step of an epoch sees: all in a random order, the last ones that make no whole step left out. */
export function orderAt(plan: TrainingPlan, epoch: number, pictures: number): Int32Array {
  return permutation(pictures, randomOf(plan.seed, epoch, ORDER));
}

/** Keeps the numbers that orders are drawn with apart from those of views. */
const ORDER = -1;

/**
 * Width and height of the pictures that a trained network is served with: those of its last epochs, and more where parts were cut out and enlarged. That makes things look
 * larger in training than in whole pictures, and more pixels make up for it (Touvron et al., "Fixing the train-test resolution discrepancy", 2019).
 */
export function servedSizeFor(size: number, strongViews: boolean): number {
  return stepped(size * (strongViews ? SERVED_SCALE : LARGE_SCALE));
}
