import { tensorValue } from '../../protos/values.js';
import type { Arguments, Operation } from '../adaptor.js';
import { textOf, VERSION, versionOf } from './tensor-operations.js';

/** What `cnn.embed` needs of the device. */
export interface EmbeddingModels {
  embed(
    picture: { readonly kind: 'encoded'; readonly bytes: Uint8Array },
    options: {
      readonly model: string;
      readonly version: number;
      readonly signal: AbortSignal;
      readonly deadlineMs: number;
    },
  ): Promise<{ readonly values: Float32Array }>;
}

/** A picture as a vector. */
export function embedOperation(
  models: EmbeddingModels,
  pictureOf: (args: Arguments) => Uint8Array,
): Operation {
  return {
    spec: {
      name: 'cnn.embed',
      summary:
        'a picture as a vector, for similarity: what the layer before the last makes of it; FP32, shape [n]',
      arguments: [
        { name: 'input', summary: 'the picture', kinds: ['bytes'], required: true },
        { name: 'model', summary: 'name of the model', kinds: ['text'], required: false },
        VERSION,
      ],
      output: ['tensor'],
      idempotent: true,
    },
    async perform(args, { signal, budgetMs }) {
      const bytes = pictureOf(args);
      const deadlineMs = Date.now() + budgetMs;
      const options = { model: textOf(args, 'model'), version: versionOf(args) };
      const picture = { kind: 'encoded', bytes } as const;
      const { values } = await models.embed(picture, { ...options, signal, deadlineMs });
      const { buffer, byteOffset, byteLength } = values;
      const data = new Uint8Array(buffer, byteOffset, byteLength);
      return tensorValue({ datatype: 'FP32', shape: [BigInt(values.length)], data });
    },
  };
}
