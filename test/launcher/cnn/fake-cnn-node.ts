import { Server, status } from '@grpc/grpc-js';
import type { sendUnaryData, ServerUnaryCall, UntypedHandleCall } from '@grpc/grpc-js';

import { CnnServiceService } from '../../../protos/gen/fractory/v1/cnn.js';
import type {
  Arrangement,
  Model,
  PinModelRequest,
  PredictRequest,
} from '../../../protos/gen/fractory/v1/cnn.js';
import { ControllerServiceService } from '../../../protos/gen/fractory/v1/controller.js';
import { CnnMembers } from '../../../launcher/cnn/members.js';
import type { CnnMember } from '../../../launcher/cnn/members.js';
import { NodeCalls } from '../../../launcher/node-calls.js';
import { toStatus } from '../../../protos/status.js';
import type { FractoryError } from '../../../runtime/errors.js';
import { serveOnLoopback } from '../../loopback-server.js';

export interface FakeBehaviour {
  /** Label of a picture, or a throw. Default: the text of the picture. */
  readonly label?: (text: string, request: PredictRequest) => string | Promise<string>;
  readonly models?: readonly Model[];
  readonly maxImageBytes?: number;
  /** Refuses load, unload and pin. */
  readonly refusal?: FractoryError;
}

/** A node that answers like a CNN node: what a picture says is its label. */
export class FakeCnnNode implements AsyncDisposable {
  readonly member: CnnMember;
  /** Most calls that were under way at a time. */
  mostUnderWay = 0;
  predictions = 0;
  readonly changes: string[] = [];
  readonly #server: Server;
  readonly #behaviour: FakeBehaviour;
  #underWay = 0;

  private constructor(id: string, server: Server, port: number, behaviour: FakeBehaviour) {
    this.member = { id, address: `127.0.0.1:${String(port)}` };
    this.#server = server;
    this.#behaviour = behaviour;
  }

  static async start(id: string, behaviour: FakeBehaviour = {}): Promise<FakeCnnNode> {
    const server = new Server();
    let node: FakeCnnNode | undefined = undefined;
    const handle =
      (answer: (node: FakeCnnNode, request: never) => unknown): UntypedHandleCall =>
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each method has a type of its own
      (call: ServerUnaryCall<any, unknown>, callback: sendUnaryData<unknown>): void => {
        void Promise.resolve()
          .then(() => answer(node!, call.request as never))
          .then(
            (response) => {
              callback(null, response);
            },
            (error: unknown) => {
              callback(toStatus(error));
            },
          );
      };
    server.addService(CnnServiceService, {
      predict: handle((own, request: PredictRequest) => own.#predict(request)),
      listModels: handle((own) => ({ models: own.#behaviour.models ?? [] })),
      loadModel: handle((own, request: PinModelRequest) => {
        own.#change('load', request);
        const model = own.#behaviour.models?.find(({ name }) => name === request.model);
        return { model };
      }),
      unloadModel: handle((own, request: PinModelRequest) => own.#change('unload', request)),
      pinModel: handle((own, request: PinModelRequest) => own.#change('pin', request)),
      ...unanswered('embed', 'uploadDataSet', 'train'),
    });
    server.addService(ControllerServiceService, {
      ...unanswered(...Object.keys(ControllerServiceService)),
      describe: handle((own) => ({
        ...{ dataCenter: 'd', member: id, type: 'cnn', routing: 'any', version: '0', epoch: 1n },
        ...{ leader: true, operations: [], metricsAddress: '' },
        limits: { max_image_bytes: BigInt(own.#behaviour.maxImageBytes ?? 1024) },
      })),
    });
    const port = await serveOnLoopback(server);
    node = new FakeCnnNode(id, server, port, behaviour);
    return node;
  }

  /** It is gone, as after `kill -9`. */
  kill(): void {
    this.#server.forceShutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    return Promise.resolve();
  }

  async #predict(request: PredictRequest): Promise<object> {
    const { source } = request;
    const text = source?.$case === 'image' ? Buffer.from(source.value).toString() : '';
    this.predictions++;
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.#underWay);
    try {
      const label = await (this.#behaviour.label?.(text, request) ?? text);
      const labels = [
        { label, probability: 0.75 },
        { label: 'other', probability: 0.25 },
      ];
      return { labels: labels.slice(0, request.topK), model: 'm', version: 1, times: undefined };
    } finally {
      this.#underWay--;
    }
  }

  #change(what: string, { model, version }: PinModelRequest): object {
    if (this.#behaviour.refusal) throw this.#behaviour.refusal;
    this.changes.push(`${what} ${model} ${String(version)}`);
    return {};
  }
}

function unanswered(...names: readonly string[]): Record<string, UntypedHandleCall> {
  const refuse = (_: unknown, callback: sendUnaryData<unknown>): void => {
    callback({ code: status.UNIMPLEMENTED });
  };
  return Object.fromEntries(names.map((name) => [name, refuse as UntypedHandleCall]));
}

/** Runs `use` with typed calls to these nodes. */
export async function withNodes<T>(
  nodes: readonly FakeCnnNode[],
  use: (members: CnnMembers) => Promise<T>,
): Promise<T> {
  using calls = new NodeCalls({ mode: 'open' });
  return await use(new CnnMembers(calls, () => nodes.map(({ member }) => member)));
}

/** A model as a node lists it. */
export function modelOf(facts: Partial<Model> & { readonly name: string }): Model {
  return {
    ...{ version: 1, summary: '', labels: ['cat', 'dog'], width: 64, height: 64, accuracy: 0.5 },
    ...{ state: 'ready', loaded: true, servesByDefault: true, pinned: false },
    ...{ memoryBytes: 1024n ** 2n, arrangement: undefined, inputs: [], outputs: [] },
    ...{ sha256: 'ab', statistics: undefined },
    ...facts,
  };
}

export function arrangement(facts: Partial<Arrangement> = {}): Arrangement {
  return { workers: 2, threads: 1, maxBatch: 1, maxDelayUs: 0, reason: 'measured', ...facts };
}
