import { z } from 'zod';

const name = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/);
const perChannel = z.array(z.number()).min(1).max(4);

/** `model.json`: what a model is, and how a picture becomes its input. */
export const cardSchema = z
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
    accuracy: z
      .strictObject({
        /** Share of right answers, 0 to 1. */
        value: z.number().min(0).max(1),
        pictures: z.int().min(1),
        on: z.string(),
        measuredWith: z.string(),
      })
      .optional(),
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
