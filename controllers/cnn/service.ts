import {
  CnnServiceService,
  type EmbedRequest,
  type EmbedResponse,
  type ListModelsRequest,
  type ListModelsResponse,
  type LoadModelRequest,
  type LoadModelResponse,
  type PinModelRequest,
  type PinModelResponse,
  type PredictRequest,
  type PredictResponse,
  type UnloadModelRequest,
  type UnloadModelResponse,
} from '../../protos/gen/fractory/v1/cnn.js';
import { invalidArgument } from '../../runtime/errors.js';
import type { Picture } from '../../services/cnn/picture.js';
import type { CnnService } from '../../services/cnn/service.js';
import { typedService, unary } from '../kernel/calls.js';
import type { CallContext, TypedService } from '../kernel/calls.js';
import type { Peers } from '../kernel/device.js';
import { modelMessage, timesMessage } from './model-message.js';
import { fetchStoredImage } from './stored-image.js';
import { noTraining } from './training-handlers.js';
import type { TrainingHandlers } from './training-handlers.js';

/** `fractory.v1.CnnService` over the device; pictures named by client and name come from storage. */
export function cnnTypedService(
  cnn: CnnService,
  peers: Peers,
  training: TrainingHandlers = noTraining(),
): TypedService {
  return typedService(CnnServiceService, {
    predict: unary<PredictRequest, PredictResponse>(
      async (request, call) => {
        const options = { ...optionsOf(request, call), topK: request.topK };
        const picture = pictureOf(request.source, { cnn, peers, call });
        const { labels, model, version, times } = await cnn.predict(picture, options);
        return { labels: [...labels], model, version, times: timesMessage(times) };
      },
      { isLarge: true },
    ),
    embed: unary<EmbedRequest, EmbedResponse>(
      async (request, call) => {
        const options = optionsOf(request, call);
        const picture = pictureOf(request.source, { cnn, peers, call });
        const { values, model, version, times } = await cnn.embed(picture, options);
        const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        const embedding = { datatype: 'FP32', shape: [BigInt(values.length)], data };
        return { embedding, model, version, times: timesMessage(times) };
      },
      { isLarge: true },
    ),
    listModels: unary<ListModelsRequest, ListModelsResponse>(() => ({
      models: cnn.models().map(modelMessage),
    })),
    loadModel: unary<LoadModelRequest, LoadModelResponse>(async ({ model, version }) => ({
      model: modelMessage(await cnn.load(named(model), version)),
    })),
    unloadModel: unary<UnloadModelRequest, UnloadModelResponse>(async ({ model, version }) => {
      await cnn.unload(named(model), version);
      return {};
    }),
    pinModel: unary<PinModelRequest, PinModelResponse>(async ({ model, version }) => {
      await cnn.pin(named(model), version);
      return {};
    }),
    uploadDataSet: training.uploadDataSet,
    train: training.train,
  });
}

function optionsOf(
  { model, version }: { readonly model: string; readonly version: number },
  { signal, budgetMs }: CallContext,
) {
  return { model, version, signal, deadlineMs: Date.now() + budgetMs };
}

/** What changes a model says which one. */
function named(model: string): string {
  if (model === '') throw invalidArgument('model', 'is missing', 'BAD_NAME');
  return model;
}

interface Surroundings {
  readonly cnn: CnnService;
  readonly peers: Peers;
  readonly call: CallContext;
}

function pictureOf(
  source: PredictRequest['source'],
  { cnn, peers, call: { signal } }: Surroundings,
): Picture {
  switch (source?.$case) {
    case 'image':
      return { kind: 'encoded', bytes: source.value };
    case 'stored': {
      const maxBytes = cnn.limits.max_image_bytes;
      const options = { ...source.value, maxBytes, signal };
      return { kind: 'stored', fetch: (hold) => fetchStoredImage(peers, { ...options, hold }) };
    }
    case 'pixels':
      return { kind: 'pixels', ...source.value };
    case undefined:
      throw invalidArgument(
        'source',
        'give a picture: image, pixels, or stored with client and name',
      );
  }
}
