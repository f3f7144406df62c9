import { Server, status } from '@grpc/grpc-js';
import type { ServerWritableStream } from '@grpc/grpc-js';

import { DataCenter } from '../../applications/sdk/data-center.js';
import { math, PlanReady } from '../../applications/sdk/index.js';
import {
  ApplicationServiceService,
  RunState,
  Topology,
} from '../../protos/gen/fractory/v1/application.js';
import type {
  CancelRequest,
  PlannedStep,
  PlanRequest,
  PlanResponse,
  RunEnded,
  RunRequest,
  RunResponse,
} from '../../protos/gen/fractory/v1/application.js';
import { toStatus } from '../../protos/status.js';
import { integerValue } from '../../protos/values.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { serveOnLoopback } from '../loopback-server.js';
import { assert, rejects, suite } from '../suite.js';

type RunCall = ServerWritableStream<RunRequest, RunResponse>;

const flow = math.add({ input: 1n, by: 1n });

const plannedAdd: PlannedStep = {
  ...{ step: 'add-1', operation: 'math.add', members: ['math-1'], inputs: [], output: ['integer'] },
  fixed: [{ name: 'by', value: integerValue(1n) }],
  ...{ idempotent: true, timeoutMs: 0, retries: 0, map: '' },
};

interface Answering {
  readonly signal?: AbortSignal;
  readonly isPlanOnly?: boolean;
  readonly durable?: boolean;
}

/** An application node that answers as the test says. */
async function answering(run: (call: RunCall, turn: number) => void, options: Answering = {}) {
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
  const plans: PlanRequest[] = [];
  const plan = (
    { request }: { request: PlanRequest },
    done: (error: null, response: PlanResponse) => void,
  ): void => {
    plans.push(request);
    done(null, { budgetMs: 7, steps: [plannedAdd] });
  };
  server.addService(ApplicationServiceService, { run: serve, cancel, plan });
  const port = await serveOnLoopback(server);
  const dataCenter = new DataCenter({
    ...{ application: 'test', credentials: { mode: 'open' } },
    applicationNodes: [`127.0.0.1:${String(port)}`],
    ...options,
  });
  return {
    ...{ dataCenter, cancels, plans },
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
      ...{ step: 'read-1', member: 'storage-1', metadata: {}, retryAfterMs: 0 },
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

  test('who gives up says what a node said, and that nobody answered only where that is so', async () => {
    using node = await answering((call) => {
      call.emit('error', toStatus(unavailable('BLOCK_UNREACHABLE', 'block-1 can not be reached')));
    });
    const run = node.dataCenter.run(flow, { durable: true, budgetMs: 300 });
    const { message } = await rejects(run, FractoryError, { reason: 'BLOCK_UNREACHABLE' });
    assert.match(message, /^block-1 can not be reached; it was tried for 0\.3 s; /);
    const nobody = new DataCenter({
      ...{ application: 'test', credentials: { mode: 'open' } },
      applicationNodes: ['127.0.0.1:1'],
    });
    const silent = await rejects(nobody.run(flow, { durable: true, budgetMs: 300 }), FractoryError);
    assert.match(
      silent.message,
      /^the data center did not answer for 0\.3 s: its address no longer/,
    );
    nobody.close();
  });

  test('what is sent again is the same run with what is left of its time', async () => {
    const sent: RunRequest[] = [];
    using node = await answering((call, turn) => {
      sent.push(call.request);
      if (turn === 0) call.emit('error', toStatus(unavailable('RUN_TAKEN_OVER', 'watch it')));
      else end(call);
    });
    await node.dataCenter.run(flow, { durable: true, budgetMs: 5000 });
    const [first, second] = sent;
    assert.equal([first?.durable, first?.budgetMs], [true, 5000]);
    assert.equal({ ...second, budgetMs: 5000 }, first);
    assert.ok((second?.budgetMs ?? 0) < 5000);
  });

  test('runs are durable where the data center says so, unless a run says otherwise', async () => {
    const durable: boolean[] = [];
    const serve = (call: RunCall): void => {
      durable.push(call.request.durable);
      end(call);
    };
    using node = await answering(serve, { durable: true });
    await node.dataCenter.run(flow);
    await node.dataCenter.run(flow, { durable: false });
    using other = await answering(serve);
    await other.dataCenter.run(flow);
    assert.equal(durable, [true, false, false]);
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
    using node = await answering(
      () => {
        interrupted.abort();
      },
      { signal: interrupted.signal },
    );
    await rejects(node.dataCenter.run(flow, { id: 'r' }), FractoryError, {
      code: status.CANCELLED,
    });
    assert.equal(node.cancels, ['r']);
  });

  test('after an interrupt nothing begins any more', async () => {
    using node = await answering(
      (call) => {
        end(call);
      },
      { signal: AbortSignal.abort() },
    );
    await rejects(node.dataCenter.run(flow), FractoryError, { code: status.CANCELLED });
  });

  test('a plan says who would do what, and nothing runs', async () => {
    using node = await answering(() => {
      throw new Error('nothing runs');
    });
    const plan = await node.dataCenter.plan(flow, { topology: 'star', budgetMs: 1000 });
    assert.equal(
      [plan.name, plan.topology, plan.budgetMs, plan.ends],
      ['test', 'star', 1000, ['add-1']],
    );
    assert.equal(plan.steps[0]?.members, ['math-1']);
    assert.is(node.plans[0]?.topology, Topology.STAR);
    assert.equal(
      node.plans[0]?.graph?.steps.map(({ id }) => id),
      ['add-1'],
    );
  });

  test('where only plans are wanted, a run throws its plan and a write is forgotten', async () => {
    using node = await answering(
      () => {
        throw new Error('nothing runs');
      },
      { isPlanOnly: true },
    );
    const written = await node.dataCenter.files.write({ client: 'a', name: 'x' }, 'content');
    assert.is(written.name, 'x');
    const { plan } = await rejects(node.dataCenter.run(flow), PlanReady);
    assert.equal(
      plan.steps.map(({ id }) => id),
      ['add-1'],
    );
  });
});
