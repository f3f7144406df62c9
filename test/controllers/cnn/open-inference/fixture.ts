import { Metadata } from '@grpc/grpc-js';

import type {
  InferTensorContents,
  ModelInferRequest,
} from '../../../../protos/gen/inference/grpc_service.js';
import { silentLogger } from '../../../../runtime/logger.js';
import { openInferenceService } from '../../../../controllers/cnn/open-inference/service.js';
import type {
  InferenceRequest,
  ServedModels,
  ServedVersion,
} from '../../../../controllers/cnn/open-inference/served-models.js';
import type { CallContext } from '../../../../controllers/kernel/calls.js';
import type { ModelCounts } from '../../../../services/cnn/serving.js';

export const noCounts: ModelCounts = {
  ...{ requests: 0, failures: 0, runs: 0, underWay: 0, lastUsedMs: 0 },
  ...{ queueUs: 0, decodeUs: 0, computeUs: 0, outputUs: 0 },
  batches: new Map(),
};

export const call: CallContext = {
  signal: new AbortController().signal,
  budgetMs: 10_000,
  metadata: new Metadata(),
  peer: 'test',
  log: silentLogger(),
};

/** Models that answer what they are asked, and note what is done to them. */
export class EchoModels implements ServedModels {
  readonly done: string[] = [];
  readonly asked: InferenceRequest[] = [];
  readonly #versions: readonly ServedVersion[];

  constructor(versions: readonly ServedVersion[] = [version('echo', 1, 'ready')]) {
    this.#versions = versions;
  }

  models(): readonly ServedVersion[] {
    return this.#versions;
  }

  describe(model: string, one = 0): ReturnType<ServedModels['describe']> {
    this.done.push(`describe ${model} ${String(one)}`);
    return Promise.resolve({
      name: model,
      versions: [10, 2],
      signature: {
        inputs: [{ name: 'pixels', datatype: 'FP32', shape: [-1, 3] }],
        outputs: [{ name: 'label', datatype: 'BYTES', shape: [-1] }],
        ...{ producer: 'a test', opset: 17 },
      },
      card: { summary: 'echoes' },
    });
  }

  isReady(model: string, one = 0): boolean {
    return this.#versions.some(
      ({ name, version: number, state }) =>
        name === model && (one === 0 || one === number) && state === 'ready',
    );
  }

  load(model: string): Promise<void> {
    this.done.push(`load ${model}`);
    return Promise.resolve();
  }

  unload(model: string, one = 0): Promise<void> {
    this.done.push(`unload ${model} ${String(one)}`);
    return Promise.resolve();
  }

  infer(request: InferenceRequest): ReturnType<ServedModels['infer']> {
    this.asked.push(request);
    return Promise.resolve({ outputs: request.inputs, model: request.model, version: 3 });
  }
}

export function version(name: string, number: number, state: string): ServedVersion {
  return { name, version: number, state, counts: noCounts };
}

/** Calls a method as the server would. */
export async function handle<T>(
  models: ServedModels,
  method: string,
  request: unknown,
): Promise<T> {
  const handler = openInferenceService(models).handlers[method];
  if (handler?.kind !== 'unary') throw new Error(`${method} is not unary`);
  return (await handler.handle(request, call)) as T;
}

export const noContents: InferTensorContents = {
  ...{ boolContents: [], intContents: [], int64Contents: [], uintContents: [] },
  ...{ uint64Contents: [], fp32Contents: [], fp64Contents: [], bytesContents: [] },
};

/** A request for the model `echo` with one typed input: [1.5, 2.5]. */
export function inferRequest(changes: Partial<ModelInferRequest> = {}): ModelInferRequest {
  return {
    ...{ modelName: 'echo', modelVersion: '', id: '', parameters: {}, outputs: [] },
    inputs: [input()],
    rawInputContents: [],
    ...changes,
  };
}

type Input = ModelInferRequest['inputs'][number];

export function input(changes: Partial<Input> = {}): Input {
  return {
    ...{ name: 'pixels', datatype: 'FP32', shape: [1n, 2n], parameters: {} },
    contents: { ...noContents, fp32Contents: [1.5, 2.5] },
    ...changes,
  };
}

/** The same without elements, for requests with raw contents. */
export function rawInput(changes: Partial<Input> = {}): Input {
  return input({ contents: undefined, ...changes });
}
