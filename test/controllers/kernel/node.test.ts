import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';

import { application as shiftLeft } from '../../../applications/shift-left.js';
import { application as template } from '../../../applications/template.js';
import { math, repeat, sequence } from '../../../applications/sdk/index.js';
import type { DataCenter } from '../../../applications/sdk/index.js';
import { makeMathDevice } from '../../../controllers/math/device.js';
import { ControllerServiceClient } from '../../../protos/gen/fractory/v1/controller.js';
import type { ConnectResponse } from '../../../protos/gen/fractory/v1/controller.js';
import {
  HealthCheckRequest,
  HealthCheckResponse,
} from '../../../protos/gen/grpc/health/v1/health.js';
import { MathServiceClient } from '../../../protos/gen/fractory/v1/math.js';
import type { ShiftLeftResponse } from '../../../protos/gen/fractory/v1/math.js';
import { StorageServiceClient } from '../../../protos/gen/fractory/v1/storage.js';
import type { StatResponse } from '../../../protos/gen/fractory/v1/storage.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { fromStatus } from '../../../protos/status.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { Nodes } from './nodes.js';

const say = (): void => undefined;
type Done<R> = (error: ServiceError | null, response: R) => void;

/** A unary call as a promise. */
function ask<R>(start: (done: Done<R>) => unknown): Promise<R> {
  return new Promise((resolve, reject) => {
    start((error, response) => {
      if (error) reject(fromStatus(error));
      else resolve(response);
    });
  });
}

async function small(options: Parameters<typeof Nodes.start>[0] = {}): Promise<Nodes> {
  const nodes = await Nodes.start(options);
  await Promise.all([nodes.storage('storage-1'), nodes.math('math-1'), nodes.math('math-2')]);
  await nodes.application('application-1');
  return nodes;
}

/** A math device whose additions hang until somebody lets them go. */
function hanging() {
  let arrived: () => void = () => undefined;
  const arrival = new Promise<void>((resolve) => (arrived = resolve));
  const make: typeof makeMathDevice = async (context) => {
    const device = await makeMathDevice(context);
    const operations = device.adaptor.operations.map((operation) => ({
      ...operation,
      perform: () => {
        arrived();
        return new Promise<Value>(() => undefined);
      },
    }));
    return { ...device, adaptor: { type: 'math', operations } };
  };
  return { make, arrival };
}

/** Resolves when the application node sees these members of a type. */
async function seen(client: DataCenter, type: string, count: number): Promise<void> {
  while ((await client.members(type)).length !== count)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

suite('nodes in one process', (test) => {
  for (const topology of ['ring', 'star'] as const)
    test(`the applications run as ${topology}`, async () => {
      await using nodes = await small();
      const client = nodes.client();
      const run = client.runGraph.bind(client);
      client.runGraph = (graph, options) => run(graph, { ...options, topology });
      const shifted = await shiftLeft.run({
        options: { n: 7n, m: 9n, client: 'admin' },
        ...{ dataCenter: client, say },
      });
      assert.is(shifted.answer['result'], '3584');
      const receipts = shifted.runs?.[0]?.receipts ?? [];
      assert.is(receipts.length, 11);
      assert.equal(
        new Set(receipts.map((receipt) => receipt.member)),
        new Set(['storage-1', 'math-1', 'math-2']),
      );
      const made = await template.run({ options: { n: 20n }, dataCenter: client, say });
      assert.is(made.answer['factorial'], '2432902008176640000');
    });

  test('50 runs at once all end', async () => {
    await using nodes = await small();
    const client = nodes.client();
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        client.run(
          sequence(math.add({ input: BigInt(index), by: 0n }), repeat(20, math.add({ by: 1n }))),
        ),
      ),
    );
    assert.equal(
      results.map((run) => run.result),
      results.map((_, index) => BigInt(index + 20)),
    );
  });

  test('a run whose member is lost ends once, on another member', async () => {
    await using nodes = await Nodes.start();
    const { make, arrival } = hanging();
    await Promise.all([nodes.math('math-1', make), nodes.application('application-1')]);
    const client = nodes.client();
    await seen(client, 'math', 1);
    const run = client.run(math.add({ input: 1n, by: 1n }));
    await arrival;
    await nodes.math('math-2');
    await nodes.vanish('math-1');
    const { result, attempts, receipts } = await run;
    assert.equal([result, attempts], [2n, 2]);
    assert.equal(
      receipts.map((receipt) => receipt.member),
      ['math-2'],
    );
  });

  test('a new epoch makes old capabilities stale, and runs go on with fresh ones', async () => {
    await using nodes = await Nodes.start();
    await Promise.all([nodes.math('math-1'), nodes.application('application-1')]);
    const client = nodes.client();
    await seen(client, 'math', 1);
    const controller = new ControllerServiceClient(
      nodes.node('math-1').node.address,
      credentials.createInsecure(),
    );
    const connect = (): Promise<ConnectResponse> => ask((done) => controller.connect({}, done));
    const before = await connect();
    await client.run(math.add({ input: 1n, by: 1n }));
    await nodes.stop('math-1');
    await nodes.math('math-1');
    const again = new ControllerServiceClient(
      nodes.node('math-1').node.address,
      credentials.createInsecure(),
    );
    const capability = before.grants.find(
      (grant) => grant.operation?.name === 'math.add',
    )?.capability;
    const rest = { arguments: [], onSuccess: [], onFailure: [], budgetMs: 0, shared: [] };
    const request = { capability, ...rest };
    await rejects(
      ask((done) => again.invoke(request, done)),
      FractoryError,
      {
        reason: 'STALE_OWNER',
      },
    );
    const { result } = await client.run(math.add({ input: 2n, by: 1n }));
    assert.is(result, 3n);
    controller.close();
    again.close();
  });

  test('a follower says NOT_LEADER with the address of the leader, and clients follow it', async () => {
    await using nodes = await Nodes.start();
    await nodes.application('application-1');
    await nodes.application('application-2');
    await nodes.storage('storage-1');
    await nodes.storage('storage-2');
    const follower = new StorageServiceClient(
      nodes.node('storage-2').node.address,
      credentials.createInsecure(),
    );
    const error = await rejects(
      ask<StatResponse>((done) => follower.stat({ client: 'a', name: 'b' }, done)),
      FractoryError,
      { code: status.FAILED_PRECONDITION, reason: 'NOT_LEADER' },
    );
    assert.is(error.metadata['address'], nodes.node('storage-1').node.address);
    follower.close();
    const client = nodes.client('application-2');
    const file = { client: 'admin', name: 'note.txt' };
    await client.files.write(file, Buffer.from('first'));
    await nodes.stop('storage-1');
    assert.is(String(await client.files.read(file)), 'first');
    await nodes.stop('application-1');
    await client.files.write(file, Buffer.from('second'));
    assert.is(String(await client.files.read(file)), 'second');
  });

  test('a step that fails says which, where and why', async () => {
    await using nodes = await small();
    const error = await rejects(
      nodes.client().run(sequence(math.add({ input: 1n, by: -5n }), math.factorial())),
      FractoryError,
      { code: status.INVALID_ARGUMENT },
    );
    assert.is(error.metadata['step'], 'factorial-2');
    assert.match(error.metadata['member'] ?? '', /^math-/);
  });

  test('mode `token` serves those who bring it, and the nodes themselves', async () => {
    await using nodes = await small({ security: { mode: 'token', token: 'sesame' } });
    const { result } = await nodes.client().run(math.add({ input: 1n, by: 1n }));
    assert.is(result, 2n);
    const stranger = new MathServiceClient(
      nodes.node('math-1').node.address,
      credentials.createInsecure(),
    );
    const shift = (metadata: Metadata): Promise<ShiftLeftResponse> =>
      ask((done) => stranger.shiftLeft({ n: '1', m: '1' }, metadata, done));
    await rejects(shift(new Metadata()), FractoryError, { reason: 'TOKEN_MISSING' });
    const right = new Metadata();
    right.set('authorization', 'Bearer sesame');
    assert.equal(await shift(right), { result: '2' });
    stranger.close();
  });

  test('reflection answers for all services in v1 and v1alpha, health for each', async () => {
    await using nodes = await small();
    for (const name of ['storage-1', 'math-1', 'application-1']) {
      const type = name.split('-')[0]!;
      const own = `fractory.v1.${type[0]!.toUpperCase()}${type.slice(1)}Service`;
      const client = new Client(nodes.node(name).node.address, credentials.createInsecure());
      for (const version of ['v1', 'v1alpha']) {
        const services = await reflected(client, version);
        for (const service of [own, 'fractory.v1.ControllerService', 'grpc.health.v1.Health'])
          assert.ok(services.includes(service), `${version} of ${name} lists ${service}`);
      }
      for (const service of ['', own, 'fractory.v1.ControllerService'])
        assert.is(await healthOf(client, service), 1, `${service} of ${name} is SERVING`);
      await rejects(healthOf(client, 'no.such.Service'), FractoryError, { code: status.NOT_FOUND });
      client.close();
    }
  });

  test('stopping twice is stopping once, and a stopped node answers nobody', async () => {
    await using nodes = await Nodes.start();
    const { node } = await nodes.math('math-1');
    await Promise.all([node.stop(), node.stop()]);
    const client = new MathServiceClient(node.address, credentials.createInsecure());
    await rejects(
      ask<ShiftLeftResponse>((done) => client.shiftLeft({ n: '1', m: '1' }, done)),
      FractoryError,
      { code: status.UNAVAILABLE },
    );
    client.close();
  });

  test('a port that is taken stops the start with a clear error', async () => {
    await using nodes = await Nodes.start();
    const { node } = await nodes.math('math-1');
    const port = Number(node.address.split(':')[1]);
    await rejects(nodes.math('math-2', makeMathDevice, port), FractoryError, {
      reason: 'CANNOT_BIND',
    });
  });
});

function healthOf(client: Client, service: string): Promise<number> {
  return ask<HealthCheckResponse>((done) =>
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      (request: HealthCheckRequest) => Buffer.from(HealthCheckRequest.encode(request).finish()),
      (bytes) => HealthCheckResponse.decode(bytes),
      { service },
      done as never,
    ),
  ).then((response) => response.status);
}

/** The text of what `list_services` answers; names of services stand in it as they are. */
function reflected(client: Client, version: string): Promise<string> {
  // ServerReflectionRequest { list_services = 7: "*" }
  const request = Buffer.from([0x3a, 1, 0x2a]);
  return new Promise((resolve, reject) => {
    const call = client.makeBidiStreamRequest(
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    );
    call.on('data', (bytes: Buffer) => {
      resolve(bytes.toString('latin1'));
      call.end();
    });
    call.on('error', reject);
    call.write(request);
  });
}
