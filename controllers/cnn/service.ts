import {
  CnnServiceService,
  type ListModelsRequest,
  type ListModelsResponse,
  type Model as ModelMessage,
  type PredictRequest,
  type PredictResponse,
} from '../../protos/gen/fractory/v1/cnn.js';
import { invalidArgument } from '../../runtime/errors.js';
import type { Model } from '../../services/cnn/models.js';
import type { CnnService } from '../../services/cnn/service.js';
import { typedService, unary } from '../kernel/calls.js';
import type { CallContext, TypedService } from '../kernel/calls.js';
import type { Peers } from '../kernel/device.js';
import { fetchStoredImage } from './stored-image.js';

/** `fractory.v1.CnnService` over the device; pictures named by client and name come from storage. */
export function cnnTypedService(cnn: CnnService, peers: Peers): TypedService {
  return typedService(CnnServiceService, {
    predict: unary<PredictRequest, PredictResponse>(async (request, call) => {
      const image = await imageOf(request, cnn, peers, call);
      const { model, version, topK } = request;
      const { signal } = call;
      const prediction = await cnn.predict(image, { model, version, topK, signal });
      return { ...prediction, labels: [...prediction.labels] };
    }),
    listModels: unary<ListModelsRequest, ListModelsResponse>(() => ({
      models: cnn.models().map(toMessage),
    })),
  });
}

function imageOf(
  { source }: PredictRequest,
  cnn: CnnService,
  peers: Peers,
  { signal }: CallContext,
): Uint8Array | Promise<Uint8Array> {
  switch (source?.$case) {
    case 'image':
      return source.value;
    case 'stored': {
      const maxBytes = cnn.limits.max_image_bytes;
      return fetchStoredImage(peers, { ...source.value, maxBytes, signal });
    }
    case undefined:
      throw invalidArgument('source', 'give a picture: image, or stored with client and name');
  }
}

function toMessage({ name, version, card, state }: Model): ModelMessage {
  return {
    name,
    version,
    summary: card?.summary ?? '',
    labels: card?.labels ?? [],
    width: card?.input.width ?? 0,
    height: card?.input.height ?? 0,
    accuracy: card?.accuracy?.value ?? 0,
    state,
  };
}
