import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { Metadata, credentials, status } from '@grpc/grpc-js';

import type { DataCenter } from '../../../applications/sdk/data-center.js';
import type { Device } from '../../../controllers/kernel/device.js';
import {
  ApplicationServiceClient,
  RunRequest,
  Standing,
} from '../../../protos/gen/fractory/v1/application.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue } from '../../../protos/values.js';
import { fromStatus, toFractoryError } from '../../../protos/status.js';
import type { Operation } from '../../../services/adaptor.js';
import { assert, suite } from '../../suite.js';
import { graph, one, step } from '../../services/application/graphs.js';
import { operation } from '../kernel/kernels.js';
import { Nodes } from '../kernel/nodes.js';

const adding = graph([step('s', 'math.add', { input: one })]);

function deviceOf(perform: Operation['perform']): Device {
  return {
    adaptor: { type: 'math', operations: [operation('math.add', perform)] },
    services: [],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The member that does the one step of a run. */
async function memberOf(client: DataCenter): Promise<string | undefined> {
  const { receipts } = await client.runGraph(adding);
  return receipts[0]?.member;
}

async function standingOf(client: DataCenter, id: string): Promise<Standing | undefined> {
  return (await client.members('math')).find((member) => member.id === id)?.standing;
}

suite('overload on nodes', (test) => {
  test('a member that is much slower than the others of its type is passed over, and everybody is told', async () => {
    await using nodes = await Nodes.start();
    for (const [name, ms] of [
      ['math-1', 1],
      ['math-2', 100],
      ['math-3', 1],
    ] as const)
      await nodes.math(name, () =>
        Promise.resolve(deviceOf(() => delay(ms).then(() => integerValue(1n)))),
      );
    await nodes.application('application-1');
    const client = nodes.client();
    assert.is(await standingOf(client, 'math-2'), Standing.TRUSTED);
    const used = new Set<string | undefined>();
    while ((await standingOf(client, 'math-2')) !== Standing.EJECTED)
      used.add(await memberOf(client));
    assert.equal([...used].sort(), ['math-1', 'math-2', 'math-3']);
    for (let run = 0; run < 8; run++) assert.is.not(await memberOf(client), 'math-2');
    assert.is(await standingOf(client, 'math-1'), Standing.TRUSTED);
  });

  test('runs that wait for a member that is missing keep out no others', async () => {
    await using nodes = await Nodes.start({ limits: { max_runs: 40 } });
    await nodes.math('math-1', () => Promise.resolve(deviceOf(() => integerValue(1n))));
    await nodes.application('application-1');
    const client = nodes.client();
    const reading = { ...graph([step('a', 'text.read')]), name: 'reading' };
    const begunAtMs = performance.now();
    const missing = Array.from({ length: 30 }, () =>
      client.runGraph(reading, { budgetMs: 1500 }).catch(toFractoryError),
    );
    const other = nodes.client();
    for (let run = 0; run < 10; run++) await other.runGraph(adding);
    const tookMs = performance.now() - begunAtMs;
    assert.ok(tookMs < 1000, `others took ${String(tookMs)} ms`);
    const reasons = new Set(
      (await Promise.all(missing)).map((one) => 'reason' in one && one.reason),
    );
    for (const reason of reasons)
      assert.ok(['NO_MEMBER', 'OVERLOADED'].includes(String(reason)), String(reason));
  });

  test('a run for which there is no room is refused with word when to come again, and whoever comes again gets in', async () => {
    await using nodes = await Nodes.start({ limits: { max_runs: 1, max_waiting_runs: 0 } });
    const events = new EventEmitter();
    const finished = once(events, 'finish');
    const begun = once(events, 'begin');
    const perform = async (): Promise<Value> => {
      events.emit('begin');
      await finished;
      return integerValue(1n);
    };
    await nodes.math('math-1', () => Promise.resolve(deviceOf(perform)));
    const { address } = (await nodes.application('application-1')).node;
    const [first, second] = [nodes.client(), nodes.client()];
    const running = first.runGraph(adding, { id: 'first' });
    const bare = new ApplicationServiceClient(address, credentials.createInsecure());
    await begun;
    const refused = await refusalOf(bare);
    assert.equal([refused.code, refused.reason], [status.RESOURCE_EXHAUSTED, 'OVERLOADED']);
    assert.ok((refused.retryAfterMs ?? 0) >= 50);
    bare.close();
    const waiting = second.runGraph(adding, { id: 'second' });
    events.emit('finish');
    assert.is((await running).id, 'first');
    assert.is((await waiting).id, 'second');
  });
});

/** How a run that is sent once ends. */
function refusalOf(client: ApplicationServiceClient): Promise<ReturnType<typeof fromStatus>> {
  return new Promise((resolve) => {
    const request = RunRequest.fromPartial({ run: 'third', graph: adding, budgetMs: 5000 });
    const stream = client.run(request, new Metadata(), { deadline: Date.now() + 5000 });
    stream.on('data', () => undefined);
    stream.on('error', (error) => {
      resolve(fromStatus(error as Parameters<typeof fromStatus>[0]));
    });
  });
}
