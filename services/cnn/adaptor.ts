import { invalidArgument } from '../../runtime/errors.js';
import { jsonValue } from '../../protos/values.js';
import type { Adaptor, Arguments, Operation } from '../adaptor.js';
import type { CnnService, PredictOptions } from './service.js';

/** The operations of a CNN node. */
export function cnnAdaptor(service: CnnService): Adaptor {
  return { type: 'cnn', operations: [predictOperation(service), inspectOperation(service)] };
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
        {
          name: 'version',
          summary: 'version of the model; without it the newest',
          kinds: ['integer'],
          required: false,
        },
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
    async perform(args, { signal }) {
      const { labels, model, version } = await service.predict(pictureOf(args), {
        ...optionsOf(args),
        signal,
      });
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

function optionsOf(args: Arguments): PredictOptions {
  const model = args.get('model')?.kind;
  return {
    ...(model?.$case === 'text' ? { model: model.value } : {}),
    version: countOf(args, 'version'),
    topK: countOf(args, 'top_k'),
  };
}

function countOf(args: Arguments, name: string): number {
  const kind = args.get(name)?.kind;
  return kind?.$case === 'integer' ? Number(kind.value) : 0;
}
