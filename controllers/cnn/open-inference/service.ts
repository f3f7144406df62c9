import { status } from '@grpc/grpc-js';

import {
  GRPCInferenceServiceService,
  type ModelInferRequest,
  type ModelInferResponse,
  type ModelMetadataRequest,
  type ModelMetadataResponse,
  type ModelMetadataResponse_TensorMetadata as TensorMetadata,
  type ModelReadyRequest,
  type ModelReadyResponse,
  type ModelStatisticsRequest,
  type ModelStatisticsResponse,
  type RepositoryIndexRequest,
  type RepositoryIndexResponse,
  type RepositoryModelLoadRequest,
  type RepositoryModelLoadResponse,
  type RepositoryModelUnloadRequest,
  type RepositoryModelUnloadResponse,
  type ServerLiveRequest,
  type ServerLiveResponse,
  type ServerMetadataRequest,
  type ServerMetadataResponse,
  type ServerReadyRequest,
  type ServerReadyResponse,
} from '../../../protos/gen/inference/grpc_service.js';
import { FractoryError } from '../../../runtime/errors.js';
import { VERSION } from '../../../runtime/version.js';
import { DEFAULT_CNN_LIMITS } from '../../../services/cnn/limits.js';
import type { TensorSpec } from '../../../services/cnn/tensors/tensor.js';
import { typedService, unary } from '../../kernel/calls.js';
import type { CallContext, TypedService } from '../../kernel/calls.js';
import { readInferBytes } from './infer-bytes.js';
import { readInferRequest, readModelName, readVersion } from './infer-request.js';
import { inferResponse } from './infer-response.js';
import { checkParameters, checkRepository, indexEntry, statisticsOf } from './repository.js';
import type { ServedModels } from './served-models.js';

/** Triton's names of what goes beyond the protocol. */
const EXTENSIONS = ['model_repository', 'statistics'];
/** The protocol's name for ONNX. */
const PLATFORM = 'onnx_onnxv1';

/** `inference.GRPCInferenceService`, the Open Inference Protocol version 2, over the models of a node. */
export function openInferenceService(
  models: ServedModels,
  maxTypedElements = DEFAULT_CNN_LIMITS.max_typed_elements,
): TypedService {
  return typedService(withCountedInputs(maxTypedElements), {
    serverLive: unary<ServerLiveRequest, ServerLiveResponse>(() => ({ live: true })),
    serverReady: unary<ServerReadyRequest, ServerReadyResponse>(() => ({
      ready: isAnyReady(models),
    })),
    modelReady: unary<ModelReadyRequest, ModelReadyResponse>(({ name, version }) => ({
      ready: models.isReady(readModelName('name', name), readVersion('version', version)),
    })),
    serverMetadata: unary<ServerMetadataRequest, ServerMetadataResponse>(() => ({
      ...{ name: 'fractory', version: VERSION, extensions: [...EXTENSIONS] },
    })),
    modelMetadata: unary<ModelMetadataRequest, ModelMetadataResponse>((request) =>
      metadataOf(models, request),
    ),
    modelInfer: unary<ModelInferRequest | FractoryError, ModelInferResponse>(
      (request, call) => {
        if (request instanceof FractoryError) throw request;
        return infer(models, request, call);
      },
      { isLarge: true },
    ),
    modelStatistics: unary<ModelStatisticsRequest, ModelStatisticsResponse>((request) => ({
      modelStats: chosen(models, request).map(statisticsOf),
    })),
    repositoryIndex: unary<RepositoryIndexRequest, RepositoryIndexResponse>((request) => {
      checkRepository(request.repositoryName);
      const entries = models.models().map(indexEntry);
      return { models: entries.filter(({ state }) => !request.ready || state === 'READY') };
    }),
    repositoryModelLoad: unary<RepositoryModelLoadRequest, RepositoryModelLoadResponse>(
      async (request) => {
        checkRepository(request.repositoryName);
        checkParameters(request.parameters);
        await models.load(readModelName('model_name', request.modelName));
        return {};
      },
    ),
    repositoryModelUnload: unary<RepositoryModelUnloadRequest, RepositoryModelUnloadResponse>(
      async (request) => {
        checkRepository(request.repositoryName);
        checkParameters(request.parameters);
        await models.unload(readModelName('model_name', request.modelName));
        return {};
      },
    ),
  });
}

function withCountedInputs(maxElements: number) {
  const { modelInfer } = GRPCInferenceServiceService;
  return {
    ...GRPCInferenceServiceService,
    modelInfer: {
      ...modelInfer,
      requestDeserialize: (bytes: Buffer) => readInferBytes(bytes, maxElements),
    },
  };
}

async function infer(
  models: ServedModels,
  request: ModelInferRequest,
  { signal, budgetMs }: CallContext,
): Promise<ModelInferResponse> {
  const call = readInferRequest(request);
  const { model, version, inputs, outputs } = call;
  const deadlineMs = Date.now() + Math.min(budgetMs, call.timeoutMs ?? budgetMs);
  const asked = { model, version, inputs, outputs, signal, deadlineMs };
  return inferResponse(call, await models.infer(asked));
}

async function metadataOf(
  models: ServedModels,
  { name, version }: ModelMetadataRequest,
): Promise<ModelMetadataResponse> {
  const found = await models.describe(readModelName('name', name), readVersion('version', version));
  const { inputs, outputs, producer, opset } = found.signature;
  return {
    name: found.name,
    versions: found.versions.map(String).sort((one, other) => Number(one) - Number(other)),
    platform: PLATFORM,
    inputs: inputs.map(tensorMetadata),
    outputs: outputs.map(tensorMetadata),
    properties: {
      opset: String(opset),
      ...(producer === '' ? {} : { producer }),
      ...(found.card ? { summary: found.card.summary } : {}),
    },
  };
}

function tensorMetadata({ name, datatype, shape }: TensorSpec): TensorMetadata {
  return { name, datatype, shape: shape.map(BigInt) };
}

/** A server without models is ready to load some. */
function isAnyReady(models: ServedModels): boolean {
  const versions = models.models();
  return versions.length === 0 || versions.some(({ state }) => state === 'ready');
}

function chosen(
  models: ServedModels,
  request: ModelStatisticsRequest,
): ReturnType<ServedModels['models']> {
  const version = readVersion('version', request.version);
  const named = models
    .models()
    .filter(({ name }) => request.name === '' || name === request.name)
    .filter((one) => version === 0 || one.version === version);
  if (named.length > 0 || request.name === '') return named;
  const what = version === 0 ? '' : ` version ${String(version)}`;
  throw new FractoryError(
    status.NOT_FOUND,
    'MODEL_NOT_FOUND',
    `there is no model ${request.name.slice(0, 128)}${what}`,
  );
}
