import { invalidArgument } from '../../runtime/errors.js';
import { jsonValue } from '../../protos/values.js';
import type { Adaptor, Arguments, InvocationContext, Operation } from '../adaptor.js';
import type { PredictOptions } from './calls.js';
import { embedOperation } from './embed-operation.js';
import type { CnnService } from './service.js';
import { inferOperation, textOf, VERSION, versionOf } from './tensor-operations.js';

/** The operations of a CNN node. */
export function cnnAdaptor(service: CnnService): Adaptor {
  return {
    type: 'cnn',
    operations: [
      predictOperation(service),
      inspectOperation(service),
      embedOperation(service, pictureOf),
      inferOperation(service),
    ],
  };
}

function predictOperation(service: CnnService): Operation {
  return {
    spec: {
      name: 'cnn.predict',
      summary:
        'what a picture shows, as JSON: {label, probability, top: [{label, probability}], model, version}',
      arguments: [
        { name: 'input', summary: 'the picture', kinds: ['bytes'], required: true },
        { name: 'model', summary: 'name of the model', kinds: ['text'], required: false },
        VERSION,
        {
          name: 'top_k',
          summary: 'how many labels; without it 5',
          kinds: ['integer'],
          required: false,
        },
      ],
      output: ['bytes'],
      idempotent: true,
    },
    async perform(args, context) {
      const picture = { kind: 'encoded', bytes: pictureOf(args) } as const;
      const options = optionsOf(args, context);
      const { labels, model, version } = await service.predict(picture, options);
      const [best] = labels;
      return jsonValue({ ...best, top: labels, model, version });
    },
  };
}

function inspectOperation(service: CnnService): Operation {
  return {
    spec: {
      name: 'cnn.inspect',
      summary:
        "what the header of a picture's file says, without inference, as JSON: {format, width, height, bytes}",
      arguments: [{ name: 'input', summary: 'the picture', kinds: ['bytes'], required: true }],
      output: ['bytes'],
      idempotent: true,
    },
    async perform(args) {
      const picture = pictureOf(args);
      return jsonValue({ ...(await service.inspect(picture)), bytes: picture.length });
    },
  };
}

function pictureOf(args: Arguments): Uint8Array {
  const kind = args.get('input')?.kind;
  if (kind?.$case === 'bytes') return kind.value.data;
  throw invalidArgument('input', 'is no picture', 'UNSUPPORTED_IMAGE');
}

function optionsOf(args: Arguments, { signal, budgetMs }: InvocationContext): PredictOptions {
  const topK = args.get('top_k')?.kind;
  return {
    ...{ model: textOf(args, 'model'), version: versionOf(args) },
    topK: topK?.$case === 'integer' ? Number(topK.value) : 0,
    ...{ signal, deadlineMs: Date.now() + budgetMs },
  };
}
