import { z } from 'zod';

const name = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/);
const perChannel = z.array(z.number()).min(1).max(4);

const count = z.int().min(0);
const share = z.number().min(0).max(1);

/** What `./datacenter train` tells of a model. */
const trainingPart = z.strictObject({
  data: z.strictObject({
    /** SHA-256 over the classes, sides and contents of all pictures, in hex. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    classes: z.array(z.strictObject({ label: z.string(), training: count, validation: count })),
    /** Which pictures validate: those that folders say, or those that their content draws. */
    split: z.enum(['folders', 'content']),
    /** Most pictures of a class; 0 = all. */
    sampleLimit: count,
    duplicates: count,
    skipped: count,
  }),
  network: z.strictObject({
    name: z.string(),
    widths: z.array(count),
    depths: z.array(count),
    weights: count,
  }),
  /** Decimal. */
  seed: z.string(),
  epochs: count,
  /** The epoch whose weights these are: the best on the validation pictures. */
  bestEpoch: count,
  batch: count,
  /** Width and height of the pictures that it learned from, pixels, smallest first. */
  sizes: z.array(count),
  peakLearningRate: z.number(),
  momentum: z.number(),
  weightDecay: z.number(),
  labelSmoothing: z.number(),
  averaging: z.number(),
  seconds: z.number(),
  /** One entry an epoch. */
  curve: z.array(
    z.strictObject({
      trainingLoss: z.number(),
      trainingAccuracy: share,
      validationLoss: z.number(),
      validationAccuracy: share,
    }),
  ),
  /** One row for each true label, one column for each answer, in the order of the labels. */
  confusion: z.array(z.array(count)),
});

/** `model.json`: what a model is, and how a picture becomes its input. */
const cardSchema = z
  .strictObject({
    name,
    version: z
      .int()
      .min(1)
      .max(2 ** 31 - 1),
    summary: z.string().max(1000),
    input: z.strictObject({
      /** Name of the input in the ONNX graph. */
      name: z.string().min(1),
      layout: z.enum(['NCHW', 'NHWC']),
      /** Pixels. */
      width: z.int().min(1).max(4096),
      height: z.int().min(1).max(4096),
      channels: z.union([z.literal(1), z.literal(3)]),
      colorOrder: z.enum(['RGB', 'BGR']),
      /** A value of the tensor is (byte / scale - mean) / std, mean and std in the order of the channels. */
      scale: z.number().positive(),
      mean: perChannel,
      std: perChannel.refine((values) => values.every((value) => value !== 0), 'has a zero'),
      /** How a picture of another shape is fitted: cut off, distorted, or with white edges. */
      resize: z.enum(['cover', 'fill', 'contain']),
    }),
    output: z.strictObject({
      /** Name of the output in the ONNX graph: one number per label. */
      name: z.string().min(1),
      /** `softmax`: the numbers are logits; `none`: they are probabilities already. */
      activation: z.enum(['softmax', 'none']),
    }),
    labels: z.array(z.string().min(1).max(200)).min(1).max(100_000),
    /** SHA-256 of `model.onnx`, in hex. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    license: z.string(),
    /** Where the model came from, in whatever form. */
    origin: z.record(z.string(), z.unknown()),
    /** How the model is run; what is left out, the node chooses. */
    execution: z
      .strictObject({
        /** Threads that run it side by side. */
        workers: z.int().min(1).max(64).optional(),
        /** Threads that work on one run. */
        threads: z.int().min(1).max(64).optional(),
        /** Most pictures in one run. */
        maxBatch: z.int().min(1).max(1024).optional(),
        /** Longest time that a picture waits for others, ms. */
        maxDelayMs: z.number().min(0).max(10_000).optional(),
      })
      .optional(),
    /** What `cnn.embed` yields; without it the input of the last layer with weights. */
    embedding: z
      .strictObject({
        /** Name of a tensor of the ONNX graph, an output or an inner one; of float32. */
        output: z.string().min(1),
      })
      .optional(),
    accuracy: z
      .strictObject({
        /** Share of right answers, 0 to 1. */
        value: z.number().min(0).max(1),
        pictures: z.int().min(1),
        on: z.string(),
        measuredWith: z.string(),
      })
      .optional(),
    /** How it was trained, where that was done here. */
    training: trainingPart.optional(),
  })
  .refine(
    ({ input }) => input.mean.length === input.channels && input.std.length === input.channels,
    { path: ['input', 'mean'], message: 'mean and std need one number per channel' },
  );

export type Card = z.output<typeof cardSchema>;

/** Reads a card, or tells in one line what is wrong with it. */
export function parseCard(text: string): Card | { readonly problem: string } {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return { problem: 'model.json is not JSON' };
  }
  const parsed = cardSchema.safeParse(data);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  const where = first?.path.join('.') ?? '';
  return { problem: `model.json: ${where === '' ? '' : `${where}: `}${first?.message ?? 'bad'}` };
}
