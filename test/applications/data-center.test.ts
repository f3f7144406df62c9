import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { ServerWritableStream } from '@grpc/grpc-js';

import { DataCenter } from '../../applications/sdk/data-center.js';
import { math } from '../../applications/sdk/index.js';
import { ApplicationServiceService, RunState } from '../../protos/gen/fractory/v1/application.js';
import type {
  CancelRequest,
  RunEnded,
  RunRequest,
  RunResponse,
} from '../../protos/gen/fractory/v1/application.js';
import { toStatus } from '../../protos/status.js';
import { integerValue } from '../../protos/values.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { assert, rejects, suite } from '../suite.js';

type RunCall = ServerWritableStream<RunRequest, RunResponse>;

const flow = math.add({ input: 1n, by: 1n });

/** An application node that answers as the test says. */
async function answering(run: (call: RunCall, turn: number) => void, signal?: AbortSignal) {
  const cancels: string[] = [];
  const server = new Server();
  let turn = 0;
  const cancel = (
    { request }: { request: CancelRequest },
    done: (error: null, response: object) => void,
  ): void => {
    cancels.push(request.run);
    done(null, { state: RunState.CANCELLED });
  };
  const serve = (call: RunCall): void => {
    run(call, turn++);
  };
  server.addService(ApplicationServiceService, { run: serve, cancel });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  const dataCenter = new DataCenter({
    ...{ application: 'test', credentials: { mode: 'open' } },
    applicationNodes: [`127.0.0.1:${String(port)}`],
    ...(signal ? { signal } : {}),
  });
  return {
    ...{ dataCenter, cancels },
    [Symbol.dispose]: () => {
      dataCenter.close();
      server.forceShutdown();
    },
  };
}

function end(call: RunCall, fields: Partial<RunEnded> = {}): void {
  const value: RunEnded = {
    ...{ state: RunState.SUCCEEDED, result: integerValue(2n), failure: undefined },
    ...{ receipts: [], attempts: 1, elapsedUs: 1500n },
    ...fields,
  };
  call.write({ event: { run: call.request.run, event: { $case: 'ended', value } } });
  call.end();
}

suite('data center, as applications see it', (test) => {
  test('a run yields its typed result', async () => {
    using node = await answering((call) => {
      end(call);
    });
    const { result, attempts, elapsedMs } = await node.dataCenter.run(flow);
    assert.equal([result, attempts, elapsedMs], [2n, 1, 1.5]);
  });

  test('a run that failed throws what failed, with step and member', async () => {
    const failure = {
      ...{ code: status.NOT_FOUND, reason: 'FILE_NOT_FOUND', message: 'there is no file x' },
      ...{ step: 'read-1', member: 'storage-1', metadata: {} },
    };
    using node = await answering((call) => {
      end(call, { state: RunState.FAILED, result: undefined, failure });
    });
    const error = await rejects(node.dataCenter.run(flow), FractoryError, {
      ...{ code: status.NOT_FOUND, reason: 'FILE_NOT_FOUND' },
    });
    assert.equal(error.metadata, { step: 'read-1', member: 'storage-1' });
  });

  test('a node that goes away is tried again with the same id', async () => {
    const ids: string[] = [];
    using node = await answering((call, turn) => {
      ids.push(call.request.run);
      if (turn === 0) call.emit('error', toStatus(unavailable('NODE_STOPPING', 'stopping')));
      else end(call);
    });
    await node.dataCenter.run(flow);
    assert.is(ids.length, 2);
    assert.is(ids[0], ids[1]);
  });

  test('a stream that ends without the end of the run is tried again too', async () => {
    using node = await answering((call, turn) => {
      if (turn === 0) call.end();
      else end(call);
    });
    assert.is((await node.dataCenter.run(flow)).result, 2n);
  });

  test('an interrupt cancels the run at the node before it throws', async () => {
    const interrupted = new AbortController();
    using node = await answering(() => {
      interrupted.abort();
    }, interrupted.signal);
    await rejects(node.dataCenter.run(flow, { id: 'r' }), FractoryError, {
      code: status.CANCELLED,
    });
    assert.equal(node.cancels, ['r']);
  });

  test('after an interrupt nothing begins any more', async () => {
    using node = await answering((call) => {
      end(call);
    }, AbortSignal.abort());
    await rejects(node.dataCenter.run(flow), FractoryError, { code: status.CANCELLED });
  });
});
