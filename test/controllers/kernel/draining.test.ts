import { credentials, Metadata, status } from '@grpc/grpc-js';

import { math } from '../../../applications/sdk/index.js';
import type { FinishedRun } from '../../../applications/sdk/index.js';
import { makeMathDevice } from '../../../controllers/math/device.js';
import { ControllerServiceClient } from '../../../protos/gen/fractory/v1/controller.js';
import type {
  ConnectResponse,
  DescribeResponse,
  DrainResponse,
} from '../../../protos/gen/fractory/v1/controller.js';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthClient,
} from '../../../protos/gen/grpc/health/v1/health.js';
import type { HealthCheckResponse } from '../../../protos/gen/grpc/health/v1/health.js';
import { MathServiceClient } from '../../../protos/gen/fractory/v1/math.js';
import type { ShiftLeftResponse } from '../../../protos/gen/fractory/v1/math.js';
import { StorageServiceClient } from '../../../protos/gen/fractory/v1/storage.js';
import type { PutResponse } from '../../../protos/gen/fractory/v1/storage.js';
import { FractoryError } from '../../../runtime/errors.js';
import { LINK_KEY, linkKeyOf } from '../../../runtime/link-key.js';
import { assert, rejects, suite } from '../../suite.js';
import { ask } from './faults/cluster.js';
import { Nodes, SECRET } from './nodes.js';

/** A math device whose operations wait until they are let go. */
class Held {
  readonly begun: Promise<void>;
  letGo: () => void = () => undefined;
  #arrived: () => void = () => undefined;
  readonly #gate: Promise<void>;

  constructor() {
    this.begun = new Promise((resolve) => (this.#arrived = resolve));
    this.#gate = new Promise((resolve) => (this.letGo = resolve));
  }

  readonly make: typeof makeMathDevice = async (context) => {
    const device = await makeMathDevice(context);
    const operations = device.adaptor.operations.map((operation) => ({
      ...operation,
      perform: async (...given: Parameters<typeof operation.perform>) => {
        this.#arrived();
        await this.#gate;
        return operation.perform(...given);
      },
    }));
    return { ...device, adaptor: { type: 'math', operations } };
  };
}

/** Asks a node by RPC to leave, as the launcher does. */
function drain(address: string, secret = SECRET): Promise<DrainResponse> {
  const client = new ControllerServiceClient(address, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set(LINK_KEY, linkKeyOf(secret));
  const deadline = Date.now() + 8000;
  return ask<DrainResponse>((done) =>
    client.drain({ graceMs: 0 }, metadata, { deadline }, done),
  ).finally(() => {
    client.close();
  });
}

/** Resolves when the application node sees the member no more. */
async function left(nodes: Nodes, member: string): Promise<void> {
  const { coordinator } = nodes.node('application-1');
  while (coordinator.members().some(({ id }) => id === member))
    await new Promise<void>((resolve) => {
      const stop = coordinator.onMembers(() => {
        stop();
        resolve();
      });
    });
}

/** Begins a run at the one math member; returns once its only step is held there. */
async function runAt(nodes: Nodes, held: Held): Promise<{ ended: Promise<FinishedRun<bigint>> }> {
  await nodes.math('math-1', held.make);
  await nodes.application('application-1');
  const ended = nodes.client().run(math.add({ input: 1n, by: 2n }));
  await held.begun;
  return { ended };
}

suite('leaving in good order', (test) => {
  test('a run goes on at a member that leaves, in one attempt, and the member waits for it', async () => {
    const held = new Held();
    await using nodes = await Nodes.start();
    const { ended } = await runAt(nodes, held);
    const { address } = nodes.node('math-1').node;
    let isDrained = false;
    const drained = drain(address).finally(() => (isDrained = true));
    await left(nodes, 'math-1');
    assert.not.ok(isDrained);
    held.letGo();
    const { result, attempts } = await ended;
    assert.equal([result, attempts], [3n, 1]);
    assert.equal(await drained, { left: 0 });
  });

  test('stopping is leaving in good order too', async () => {
    const held = new Held();
    await using nodes = await Nodes.start();
    const { ended } = await runAt(nodes, held);
    const stopped = nodes.stop('math-1');
    await left(nodes, 'math-1');
    held.letGo();
    assert.is((await ended).attempts, 1);
    await stopped;
  });

  test('what has not ended after the grace period is told, and ends with the node', async () => {
    const held = new Held();
    await using nodes = await Nodes.start({ limits: { shutdown_grace_ms: 50 } });
    const { ended } = await runAt(nodes, held);
    assert.is(await nodes.node('math-1').node.drain(), 1);
    await nodes.stop('math-1');
    await nodes.math('math-1');
    const { result, attempts } = await ended;
    assert.equal([result, attempts > 1], [3n, true]);
  });

  test('the next leader serves while the one before still finishes an upload', async () => {
    await using nodes = await Nodes.start();
    await nodes.storage('storage-1');
    await nodes.storage('storage-2');
    await nodes.application('application-1');
    const [first, second] = ['storage-1', 'storage-2'].map((name) => nodes.node(name).node.address);
    const storage = new StorageServiceClient(first ?? '', credentials.createInsecure());
    const next = new ControllerServiceClient(second ?? '', credentials.createInsecure());
    try {
      let put: ReturnType<StorageServiceClient['put']> | undefined;
      const stored = ask<PutResponse>((done) => (put = storage.put(done)));
      const value = { client: 'c', name: 'f', mediaType: '', sha256: '' };
      put?.write({ part: { $case: 'header', value } });
      put?.write({ part: { $case: 'chunk', value: Buffer.from('half ') } });
      const drained = drain(first ?? '');
      await left(nodes, 'storage-1');
      const describe = (): Promise<DescribeResponse> =>
        ask<DescribeResponse>((done) => next.describe({}, done));
      while (!(await describe()).leader);
      put?.write({ part: { $case: 'chunk', value: Buffer.from('and half') } });
      put?.end();
      assert.is((await stored).file?.sizeBytes, 13n);
      assert.equal(await drained, { left: 0 });
    } finally {
      storage.close();
      next.close();
    }
  });

  test('a node that has left refuses new work, says when to come again, and is NOT_SERVING', async () => {
    await using nodes = await Nodes.start();
    await nodes.math('math-1');
    const { address } = nodes.node('math-1').node;
    await drain(address);
    const clients = {
      math: new MathServiceClient(address, credentials.createInsecure()),
      controller: new ControllerServiceClient(address, credentials.createInsecure()),
      health: new HealthClient(address, credentials.createInsecure()),
    };
    try {
      for (const call of [
        ask<ShiftLeftResponse>((done) => clients.math.shiftLeft({ n: '1', m: '2' }, done)),
        ask<ConnectResponse>((done) => clients.controller.connect({}, done)),
      ]) {
        const error = await rejects(call, FractoryError, { reason: 'NODE_DRAINING' });
        assert.is(error.code, status.UNAVAILABLE);
        assert.ok((error.retryAfterMs ?? 0) > 0);
      }
      const { status: health } = await ask<HealthCheckResponse>((done) =>
        clients.health.check({ service: '' }, done),
      );
      assert.is(health, ServingStatus.NOT_SERVING);
      const { leader } = await ask<DescribeResponse>((done) =>
        clients.controller.describe({}, done),
      );
      assert.not.ok(leader);
    } finally {
      for (const client of Object.values(clients)) client.close();
    }
  });

  test('only whoever has the secret of the data center may ask for it', async () => {
    await using nodes = await Nodes.start();
    await nodes.math('math-1');
    const { address } = nodes.node('math-1').node;
    await rejects(drain(address, 'another'), FractoryError, { reason: 'NOT_A_CONTROLLER' });
  });
});
