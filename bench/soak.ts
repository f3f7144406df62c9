import { ApplicationServiceClient, RunState } from '../protos/gen/fractory/v1/application.js';
import type { RunResponse } from '../protos/gen/fractory/v1/application.js';
import { Graph } from '../protos/gen/fractory/v1/graph.js';
import { bytesValue, integerValue, listValue, textValue } from '../protos/values.js';
import { ChannelPool } from '../runtime/channels.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';
import { residentBytes } from './transfer.js';

const RUNS = 10_000;
/** Runs before the first reading: by then every cache is as large as it gets. */
const WARM_UP = 2000;
const FILE = { client: 'soak', name: 'in.bin' };
/** Above the inline limit: every run keeps memories on two nodes. */
const PAYLOAD = Buffer.alloc(100 * 1024, 5);

/** A heap of this size, MiB, is collected often: then what stays is what is held, not what has not been collected yet. */
const HEAP_MIB = 64;

/** 10,000 runs one after another, with memories, joins, maps and failures: resident memory of all nodes and what they hold at the end. */
export async function measureSoak(): Promise<Finding[]> {
  process.env['NODE_OPTIONS'] = `--max-old-space-size=${String(HEAP_MIB)}`;
  await using center = await SmallDataCenter.start({ 'storage-1': 'storage', 'math-1': 'math' });
  const pool = new ChannelPool();
  const client = pool.client(ApplicationServiceClient, center.address);
  await run(client, store());
  for (let count = 0; count < WARM_UP; count++) await run(client, graph(count));
  const before = center.pids.map(residentBytes);
  for (let count = 0; count < RUNS; count++) await run(client, graph(count));
  const after = center.pids.map(residentBytes);
  pool.close();
  const ratios = after.map((bytes, index) => bytes / (before[index] ?? Number.NaN));
  return [
    finding('soak_memory_10000_runs', ['resident memory after 10,000 runs', 'before'], ratios, {
      beforeMib: median(before) / 1024 ** 2,
      afterMib: median(after) / 1024 ** 2,
      heldAtTheEnd: await heldBy(center),
    }),
  ];
}

/** What the kernels of all nodes hold for runs, and memories that they keep: 0 when nothing was left behind. */
async function heldBy(center: SmallDataCenter): Promise<number> {
  let held = 0;
  for (const { metricsAddress } of center.kernel.members()) {
    const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
    for (const line of text.split('\n'))
      if (
        /^fractory_held\{.*what="(running|gates|maps|activities)"|^fractory_memories\{/.test(line)
      )
        held += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return held;
}

/** Runs a graph to its end. The only failure that is expected is that of a file that isn't there. */
async function run(client: ApplicationServiceClient, what: Graph): Promise<void> {
  const stream = client.run({
    run: '',
    graph: what,
    topology: 0,
    budgetMs: 30_000,
    durable: false,
  });
  for await (const message of stream as AsyncIterable<RunResponse>) {
    const happened = message.event?.event;
    if (happened?.$case !== 'ended') continue;
    const { state, failure } = happened.value;
    if (state !== RunState.SUCCEEDED && failure?.reason !== 'FILE_NOT_FOUND')
      throw new Error(failure?.message ?? 'a run ended without success');
  }
}

const step = (id: string, operation: string, args: Record<string, unknown> = {}) => ({
  ...{ id, operation },
  arguments: Object.entries(args).map(([name, value]) => ({ name, value: value as object })),
});

function store(): Graph {
  const args = { client: textValue(FILE.client), name: textValue(FILE.name) };
  const input = bytesValue('application/octet-stream', PAYLOAD);
  return Graph.fromPartial({
    name: 'store',
    steps: [step('write', 'storage.write', { ...args, input })],
  });
}

/** In turn: memories on two nodes; a join of two branches; a map; a failure. */
function graph(count: number): Graph {
  const client = textValue(FILE.client);
  switch (count % 4) {
    case 0:
      return Graph.fromPartial({
        name: 'memories',
        steps: [
          step('read', 'storage.read', { client, name: textValue(FILE.name) }),
          step('complement', 'math.complement'),
        ],
        edges: [{ from: 'read', to: 'complement' }],
      });
    case 1:
      return Graph.fromPartial({
        name: 'join',
        steps: [
          step('start', 'math.add', { input: integerValue(1n), by: integerValue(1n) }),
          step('left', 'math.add', { by: integerValue(2n) }),
          step('right', 'math.multiply', { by: integerValue(3n) }),
          step('join', 'math.sum'),
        ],
        edges: [
          { from: 'start', to: 'left' },
          { from: 'start', to: 'right' },
          { from: 'left', to: 'join', argument: 'input[0]' },
          { from: 'right', to: 'join', argument: 'input[1]' },
        ],
      });
    case 2:
      return Graph.fromPartial({
        name: 'map',
        steps: [
          {
            ...step('map', '', { input: listValue([1n, 2n, 3n, 4n].map(integerValue)) }),
            map: {
              graph: {
                steps: [step('item', 'math.add', { by: integerValue(1n) })],
                edges: [{ from: '', to: 'item' }],
              },
            },
          },
          step('sum', 'math.sum'),
        ],
        edges: [{ from: 'map', to: 'sum' }],
      });
    default:
      return Graph.fromPartial({
        name: 'failure',
        steps: [step('read', 'storage.read', { client, name: textValue('nowhere') })],
      });
  }
}
