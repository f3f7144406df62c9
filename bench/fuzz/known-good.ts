import {
  AllocateRequest,
  CopyRequest,
  DeriveRequest,
  InvokeRequest,
} from '../../protos/gen/fractory/v1/controller.js';
import {
  ReadRequest,
  RevokeRequest,
  WatchRequest,
  WriteRequest,
} from '../../protos/gen/fractory/v1/controller.js';
import { LinkRequest } from '../../protos/gen/fractory/v1/controller.js';
import {
  ApplicationServiceGetRequest,
  CancelRequest,
  PlanRequest,
  RunRequest,
} from '../../protos/gen/fractory/v1/application.js';
import {
  BlockServiceAllocateRequest,
  BlockServiceListRequest,
  OpenRequest,
} from '../../protos/gen/fractory/v1/block.js';
import { Capability } from '../../protos/gen/fractory/v1/capability.js';
import {
  EmbedRequest,
  LoadModelRequest,
  PredictRequest,
  TrainRequest,
} from '../../protos/gen/fractory/v1/cnn.js';
import { UploadDataSetRequest } from '../../protos/gen/fractory/v1/cnn.js';
import { SessionRequest } from '../../protos/gen/fractory/v1/coordinator.js';
import {
  BinomialRequest,
  CosineRequest,
  EvaluateRequest,
  ExpandRequest,
} from '../../protos/gen/fractory/v1/math.js';
import { FactorialRequest, ShiftLeftRequest } from '../../protos/gen/fractory/v1/math.js';
import {
  DeleteRequest,
  PutRequest,
  StatRequest,
  StorageServiceListRequest,
} from '../../protos/gen/fractory/v1/storage.js';
import { StorageServiceGetRequest } from '../../protos/gen/fractory/v1/storage.js';
import { ModelInferRequest } from '../../protos/gen/inference/grpc_service.js';
import { integerValue, listValue, textValue } from '../../protos/values.js';
import { DATA_CENTER, SECRET } from './fuzzed-data-center.js';

/** A type as ts-proto generates it. */
interface Encoder<T> {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what is missing is filled in
  fromPartial(message: any): T;
  encode(message: T): { finish(): Uint8Array };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
function of<T>(type: Encoder<T>, message: any): Uint8Array {
  return type.encode(type.fromPartial(message)).finish();
}

const file = { client: 'fuzzer', name: 'in.bin' };
const pixels = { width: 8, height: 8, rgb: Buffer.alloc(192, 90) };
const chunk = (bytes: Uint8Array) => ({ part: { $case: 'chunk', value: bytes } });

/** A graph of several kinds of steps: a map, a join and a failure handler. */
const graph = {
  name: 'fuzzed',
  steps: [
    {
      id: 'start',
      operation: 'math.add',
      arguments: [argument('input', integerValue(1n)), argument('by', integerValue(1n))],
    },
    {
      id: 'left',
      operation: 'math.add',
      arguments: [argument('by', integerValue(2n))],
      retries: 1,
    },
    {
      id: 'right',
      operation: 'math.multiply',
      arguments: [argument('by', integerValue(3n))],
      timeoutMs: 1000,
    },
    { id: 'join', operation: 'math.sum' },
    {
      id: 'map',
      arguments: [argument('input', listValue([1n, 2n, 3n].map(integerValue)))],
      map: {
        graph: {
          steps: [
            { id: 'item', operation: 'math.add', arguments: [argument('by', integerValue(1n))] },
          ],
          edges: [{ from: '', to: 'item' }],
        },
      },
    },
    {
      id: 'read',
      operation: 'storage.read',
      arguments: [argument('client', textValue('fuzzer')), argument('name', textValue('nowhere'))],
    },
    {
      id: 'handler',
      operation: 'math.add',
      arguments: [argument('input', integerValue(1n)), argument('by', integerValue(1n))],
    },
  ],
  edges: [
    { from: 'start', to: 'left' },
    { from: 'start', to: 'right' },
    { from: 'left', to: 'join', argument: 'input[0]' },
    { from: 'right', to: 'join', argument: 'input[1]' },
    { from: 'read', to: 'handler', onFailure: true, argument: 'cause' },
  ],
};

function argument(name: string, value: unknown) {
  return { name, value };
}

/** What a caller who means well sends to each method, by its path: messages in order. `capability` is one that the node gave. */
export function knownGood(
  capability: Uint8Array | undefined,
): Readonly<Record<string, () => readonly Uint8Array[]>> {
  const held = capability ? Capability.decode(capability) : undefined;
  const controller = '/fractory.v1.ControllerService/';
  const application = '/fractory.v1.ApplicationService/';
  const storage = '/fractory.v1.StorageService/';
  const block = '/fractory.v1.BlockService/';
  const math = '/fractory.v1.MathService/';
  const cnn = '/fractory.v1.CnnService/';
  const small = { ...graph, steps: graph.steps.slice(0, 4), edges: graph.edges.slice(0, 4) };
  return {
    [`${controller}Invoke`]: () => [
      of(InvokeRequest, {
        capability: held,
        arguments: [argument('input', integerValue(1n)), argument('by', integerValue(1n))],
        onSuccess: [{ capability: held, argument: 'input' }],
        budgetMs: 1000,
      }),
    ],
    [`${controller}Derive`]: () => [
      of(DeriveRequest, {
        capability: held,
        caveat: {
          expiresAtMs: BigInt(Date.now() + 2000),
          step: { run: 'r', step: 's' },
          arguments: [argument('by', integerValue(1n))],
          rights: 3,
          range: { offset: 0n, length: 10n },
          gate: { inputs: ['a'] },
          timeoutMs: 100,
        },
      }),
    ],
    [`${controller}Revoke`]: () => [of(RevokeRequest, { capability: held })],
    [`${controller}Watch`]: () => [of(WatchRequest, { capability: held })],
    [`${controller}Allocate`]: () => [of(AllocateRequest, { sizeBytes: 4096n, leaseMs: 500 })],
    [`${controller}Read`]: () => [
      of(ReadRequest, { capability: held, offset: 0n, length: 10n, sha256: true }),
    ],
    [`${controller}Write`]: () => [
      of(WriteRequest, { part: { $case: 'header', value: { capability: held, offset: 0n } } }),
      of(WriteRequest, chunk(Buffer.alloc(100))),
    ],
    [`${controller}Copy`]: () => [
      of(CopyRequest, { source: held, destination: held, sha256: true }),
    ],
    [`${controller}Link`]: () => [
      of(LinkRequest, {
        frames: [
          {
            body: {
              $case: 'hello',
              value: { dataCenter: DATA_CENTER, member: 'math-1', epoch: 1n },
            },
          },
        ],
      }),
      of(LinkRequest, {
        frames: [
          { body: { $case: 'invocation', value: { id: 1n, capability: held, budgetMs: 100 } } },
          { body: { $case: 'release', value: { capabilities: held ? [held] : [], attempt: 1 } } },
          { body: { $case: 'refusal', value: { id: 3n, status: { code: 8 } } } },
        ],
      }),
    ],
    [`${application}Run`]: () => [of(RunRequest, { run: '', graph, budgetMs: 1000 })],
    [`${application}Plan`]: () => [of(PlanRequest, { graph: small, topology: 1 })],
    [`${application}Get`]: () => [of(ApplicationServiceGetRequest, { run: 'r' })],
    [`${application}Cancel`]: () => [of(CancelRequest, { run: 'r' })],
    [`${storage}Put`]: () => [
      of(PutRequest, {
        part: {
          $case: 'header',
          value: { client: 'fuzzer', name: 'up.bin', mediaType: 'text/plain' },
        },
      }),
      of(PutRequest, chunk(Buffer.from('some text'))),
    ],
    [`${storage}Get`]: () => [of(StorageServiceGetRequest, file)],
    [`${storage}Stat`]: () => [of(StatRequest, file)],
    [`${storage}List`]: () => [of(StorageServiceListRequest, { client: 'fuzzer', pageSize: 2 })],
    [`${storage}Delete`]: () => [
      of(DeleteRequest, { client: 'fuzzer', name: 'up.bin', ifVersion: 1n }),
    ],
    [`${block}Allocate`]: () => [of(BlockServiceAllocateRequest, { sizeBytes: 4096n, label: 'l' })],
    [`${block}Open`]: () => [
      of(OpenRequest, { extents: ['a'], sizeBytes: 10n, writable: true, leaseMs: 500 }),
    ],
    [`${block}List`]: () => [of(BlockServiceListRequest, { labelPrefix: 'l' })],
    [`${math}Evaluate`]: () => [
      of(EvaluateRequest, { expression: 'sqrt(x) + 2', variables: { x: '16' } }),
    ],
    [`${math}Factorial`]: () => [of(FactorialRequest, { n: '20' })],
    [`${math}Binomial`]: () => [of(BinomialRequest, { n: '20', k: '10' })],
    [`${math}Expand`]: () => [of(ExpandRequest, { a: '2', b: '3', n: '4' })],
    [`${math}ShiftLeft`]: () => [of(ShiftLeftRequest, { n: '3', m: '4' })],
    [`${math}Cosine`]: () => [
      of(CosineRequest, { a: { numbers: [1, 2] }, b: { numbers: [2, 1] } }),
    ],
    [`${cnn}Predict`]: () => [
      of(PredictRequest, { source: { $case: 'pixels', value: pixels }, model: 'shapes', topK: 2 }),
    ],
    [`${cnn}Embed`]: () => [
      of(EmbedRequest, { source: { $case: 'stored', value: file }, model: 'shapes' }),
    ],
    [`${cnn}LoadModel`]: () => [of(LoadModelRequest, { model: 'shapes', version: 1 })],
    [`${cnn}UploadDataSet`]: () => [of(UploadDataSetRequest, { chunk: Buffer.alloc(1024) })],
    [`${cnn}Train`]: () => [
      of(TrainRequest, {
        model: 'm',
        data: { $case: 'dataSet', value: '0'.repeat(64) },
        epochs: 1,
        size: 32,
      }),
    ],
    '/inference.GRPCInferenceService/ModelInfer': () => [
      of(ModelInferRequest, {
        modelName: 'shapes',
        inputs: [{ name: 'input', datatype: 'FP32', shape: [1n, 3n, 64n, 64n] }],
        rawInputContents: [Buffer.alloc(100)],
      }),
    ],
    '/fractory.v1.CoordinatorService/Session': () => [
      of(SessionRequest, {
        request: {
          $case: 'open',
          value: { dataCenter: DATA_CENTER, timeoutMs: 500, secret: SECRET },
        },
      }),
      of(SessionRequest, { request: { $case: 'heartbeat', value: {} } }),
      of(SessionRequest, {
        request: {
          $case: 'register',
          value: {
            registration: 1,
            type: 'fuzzed',
            member: 'fuzzed-1',
            data: '{}',
            aboveEpoch: 0n,
          },
        },
      }),
      of(SessionRequest, {
        request: { $case: 'remove', value: { request: 1, member: 'nobody-1', instance: 'x' } },
      }),
    ],
  };
}
