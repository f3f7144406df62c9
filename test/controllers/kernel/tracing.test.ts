import { once } from 'node:events';

import { Metadata } from '@grpc/grpc-js';

import { repeat, sequence, step } from '../../../applications/sdk/flow/flow.js';
import { graphOf } from '../../../applications/sdk/flow/graph.js';
import { math } from '../../../applications/sdk/steps.js';
import type { MakeDevice } from '../../../controllers/kernel/device.js';
import { ApplicationServiceClient, Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue, textValue } from '../../../protos/values.js';
import { ChannelPool } from '../../../runtime/channels.js';
import { silentLogger } from '../../../runtime/logger.js';
import { OtlpTracer } from '../../../runtime/tracing/otlp-tracer.js';
import { noSpan } from '../../../runtime/tracing/tracer.js';
import type { SpanEnd, SpanStart, Tracer } from '../../../runtime/tracing/tracer.js';
import { Collector } from '../../runtime/tracing/collector.js';
import { assert, suite } from '../../suite.js';
import { failureOf, increment, Kernels, operation } from './kernels.js';
import { Nodes } from './nodes.js';

const CALLER = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const CALLED = `00-${CALLER.traceId}-${CALLER.spanId}-01`;

/** A data center whose nodes all send to one collector; its spans have arrived when `stop` has resolved. */
async function traced(collector: Collector): Promise<Nodes> {
  const nodes = await Nodes.start({
    tracerFor: (member) =>
      new OtlpTracer({
        endpoint: collector.endpoint,
        resource: { 'service.instance.id': member },
        log: silentLogger(),
      }),
  });
  await nodes.math('math-1');
  await nodes.math('math-2');
  await nodes.application('application-1');
  return nodes;
}

/** Runs a graph as a foreign client that traces: its `traceparent` travels in the metadata. Resolves at the end of the stream. */
async function run(nodes: Nodes, graph: Graph, topology: Topology = Topology.RING): Promise<void> {
  const pool = new ChannelPool();
  const client = pool.client(ApplicationServiceClient, nodes.node('application-1').node.address);
  const metadata = new Metadata();
  metadata.set('traceparent', CALLED);
  const request = { run: 'run-1', graph, topology, budgetMs: 5000, durable: false };
  const stream = client.run(request, metadata, { deadline: Date.now() + 8000 });
  await once(stream.resume(), 'end');
  pool.close();
}

const chain = graphOf(
  'doublings',
  sequence(math.shiftLeft({ input: 7n, m: 1n }), repeat(3, math.shiftLeft({ m: 1n }))),
);

/** A device whose one operation calls the typed service of another node. */
const askingDevice: MakeDevice<unknown> = ({ peers }) =>
  Promise.resolve({
    adaptor: {
      type: 'asking',
      operations: [
        {
          spec: {
            ...{ name: 'asking.members', summary: '', idempotent: true },
            ...{ arguments: [], output: ['integer' as const] },
          },
          perform: (_args, { signal }) =>
            peers.call('application', ApplicationServiceClient, countMembers, signal),
        },
      ],
    },
    services: [],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

function countMembers(client: ApplicationServiceClient): Promise<Value> {
  return new Promise((resolve, reject) => {
    client.listMembers({ type: '' }, (error, response) => {
      if (error) reject(error);
      else resolve(integerValue(BigInt(response.members.length)));
    });
  });
}

suite('the trace of a run', (test) => {
  for (const topology of [Topology.RING, Topology.STAR] as const)
    test(`goes from the caller's span over the call and the run to all steps (${topology === Topology.RING ? 'ring' : 'star'})`, async () => {
      await using collector = await Collector.start();
      {
        await using nodes = await traced(collector);
        await run(nodes, chain, topology);
      }
      const [call] = collector.named('fractory.v1.ApplicationService/Run');
      const [whole] = collector.named('run doublings');
      const steps = collector.named('math.shift_left');
      assert.ok(call && whole);
      assert.is(call.parentSpanId, CALLER.spanId);
      assert.is(call.kind, 2);
      assert.equal(call.attributes, {
        'rpc.system.name': 'grpc',
        'rpc.method': 'fractory.v1.ApplicationService/Run',
        'rpc.response.status_code': 'OK',
      });
      assert.is(call.resource['service.instance.id'], 'application-1');
      assert.is(whole.parentSpanId, call.spanId);
      assert.is(whole.attributes['fractory.run'], 'run-1');
      assert.is(whole.attributes['fractory.attempts'], 1);
      assert.is(steps.length, 4);
      for (const step of steps) {
        assert.is(step.parentSpanId, whole.spanId);
        assert.is(step.attributes['fractory.run'], 'run-1');
        assert.is(step.attributes['fractory.member'], step.resource['service.instance.id']);
        assert.ok(Number(step.attributes['fractory.bytes_in']) > 0);
        assert.ok(Number(step.attributes['fractory.bytes_out']) > 0);
        assert.is(step.status.code, 0);
      }
      assert.is(new Set(steps.map(({ attributes }) => attributes['fractory.step'])).size, 4);
      assert.equal(
        [...new Set(steps.map(({ resource }) => resource['service.instance.id']))].sort(),
        ['math-1', 'math-2'],
      );
    });

  test('goes on into the typed calls that a step makes', async () => {
    await using collector = await Collector.start();
    {
      await using nodes = await traced(collector);
      await nodes.math('asking-1', askingDevice);
      await run(nodes, graphOf('asking', step('asking.members')));
    }
    const [asking] = collector.named('asking.members');
    const [asked] = collector.named('fractory.v1.ApplicationService/ListMembers');
    assert.ok(asking && asked);
    assert.is(asking.resource['service.instance.id'], 'asking-1');
    assert.is(asked.parentSpanId, asking.spanId);
    assert.is(asked.traceId, CALLER.traceId);
  });

  test('shows where it failed and why', async () => {
    await using collector = await Collector.start();
    {
      await using nodes = await traced(collector);
      await run(nodes, graphOf('failing', math.factorial({ input: -1n })));
    }
    const [step] = collector.named('math.factorial');
    const [whole] = collector.named('run failing');
    assert.ok(step && whole);
    assert.is(step.parentSpanId, whole.spanId);
    for (const span of [step, whole]) {
      assert.is(span.status.code, 2);
      assert.is(span.attributes['error.type'], step.attributes['error.type']);
    }
  });
});

/** Says what it was asked for. */
class RecordingTracer implements Tracer {
  readonly started: SpanStart[] = [];
  readonly ended: SpanEnd[] = [];
  readonly enabled: boolean;

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }

  start(start: SpanStart) {
    this.started.push(start);
    return { ...noSpan, end: (end: SpanEnd = {}) => this.ended.push(end) };
  }

  current(): string {
    return '';
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

suite('the spans of a kernel', (test) => {
  test('are none where nothing is traced, and the trace of others goes through', async () => {
    await using world = new Kernels();
    const tracer = new RecordingTracer(false);
    for (const member of ['a', 'b']) world.add(member, [increment], 7n, tracer);
    const reply = world.reply('a');
    const steps = ['b', 'a', 'b'].map((member) => world.capability(member, 'math.add'));
    const invocation = world.chain(steps, reply, undefined, { traceparent: CALLED });
    await world.dispatch('a', invocation);
    assert.is((await reply.outcome).kind, 'succeeded');
    assert.equal(tracer.started, []);
    assert.ok(world.carried.length > 2);
    assert.ok(world.carried.every(({ traceparent }) => traceparent === CALLED));
  });

  test('are children of what the invocation names, one for each step, and begin when it arrives', async () => {
    await using world = new Kernels();
    const tracer = new RecordingTracer(true);
    for (const member of ['a', 'b']) world.add(member, [increment], 7n, tracer);
    const reply = world.reply('a');
    const steps = ['a', 'b'].map((member) =>
      world.capability(member, 'math.add', { step: { run: 'r', step: `at-${member}` } }),
    );
    await world.dispatch('a', world.chain(steps, reply, undefined, { traceparent: CALLED }));
    await reply.outcome;
    assert.equal(
      tracer.started.map(({ name, kind, parent, attributes }) => ({
        name,
        kind,
        parent,
        attributes,
      })),
      ['a', 'b'].map((member) => ({
        ...{ name: 'math.add', kind: 'internal', parent: CALLED },
        attributes: {
          'fractory.member': member,
          'fractory.run': 'r',
          'fractory.step': `at-${member}`,
        },
      })),
    );
    assert.ok(tracer.started.every(({ startedAtUs = 0 }) => startedAtUs > 1e15));
    assert.is(tracer.ended.length, 2);
    assert.ok(tracer.ended.every(({ failure }) => failure === undefined));
  });

  test('end with the reason where there is no room for the result', async () => {
    await using world = new Kernels({ inline_limit_bytes: 10, max_memory_bytes: 10 });
    const tracer = new RecordingTracer(true);
    world.add('a', [operation('math.talk', () => textValue('more than ten bytes'))], 7n, tracer);
    const reply = world.reply('a');
    await world.dispatch('a', world.chain([world.capability('a', 'math.talk')], reply));
    assert.is(failureOf(await reply.outcome).reason, 'LIMIT_EXCEEDED');
    assert.equal(
      tracer.ended.map(({ failure }) => failure?.reason),
      ['LIMIT_EXCEEDED'],
    );
  });
});
