import { once } from 'node:events';

import { credentials } from '@grpc/grpc-js';

import { ApplicationServiceClient, RunState } from '../../protos/gen/fractory/v1/application.js';
import type { RunEnded, RunResponse } from '../../protos/gen/fractory/v1/application.js';
import { ControllerServiceClient } from '../../protos/gen/fractory/v1/controller.js';
import type { DescribeResponse } from '../../protos/gen/fractory/v1/controller.js';
import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import { StorageServiceClient } from '../../protos/gen/fractory/v1/storage.js';
import type { PutResponse, StatResponse } from '../../protos/gen/fractory/v1/storage.js';
import { integerValue, textValue, toPlain } from '../../protos/values.js';
import { assert, suite } from '../suite.js';
import { graph, map, step } from '../services/application/graphs.js';
import { LiveDataCenter, Shared } from './live-data-center.js';

const timeoutMs = 40_000;
const MIB = 1024 ** 2;
const FILE_MIB = 48;
const FIBONACCI = 'f(n) = n < 2 ? n : f(n - 1) + f(n - 2)';

const shared = new Shared(() =>
  LiveDataCenter.up(
    {
      FRACTORY_CONTROLLERS_CONTROLLER_NAMES:
        'math_controller, storage_controller, application_controller',
      FRACTORY_MATH_CONTROLLER_INSTANCES: '2',
      FRACTORY_ZOOKEEPER_SESSION_TIMEOUT_MS: '2000',
    },
    '--no-zookeeper',
  ),
);

type Done<R> = (error: Error | null, answer: R) => void;

function ask<R>(call: (done: Done<R>) => unknown): Promise<R> {
  return new Promise((resolve, reject) => {
    call((error, answer) => {
      if (error) reject(error);
      else resolve(answer);
    });
  });
}

interface Alive {
  readonly id: string;
  readonly type: string;
  readonly pid: number;
  readonly metricsAddress: string;
}

/** The members of a type, all by default, with where they tell their figures. */
async function members(dataCenter: LiveDataCenter, type = ''): Promise<Alive[]> {
  const { members: all } = await dataCenter.status();
  return Promise.all(
    all
      .filter((member) => type === '' || member.type === type)
      .map(async ({ id, type: found, pid, address }) => {
        const client = new ControllerServiceClient(address, credentials.createInsecure());
        const described = await ask<DescribeResponse>((done) => client.describe({}, done));
        client.close();
        return { id, type: found, pid, metricsAddress: described.metricsAddress };
      }),
  );
}

const HELD = /^fractory_(?:held\{.*what="(\w+)"|(memories)\{).*\} (\d+)$/;

/** What a member holds for runs, by what it is. */
async function held({ metricsAddress }: Alive): Promise<Record<string, number>> {
  const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  const figures: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const [, what, memories, count] = HELD.exec(line) ?? [];
    const name = what ?? memories;
    if (name !== undefined && name !== 'objects') figures[name] = Number(count);
  }
  return figures;
}

/** Resolves with the first of these members that holds such a thing. */
async function holding(among: readonly Alive[], what: string, signal: AbortSignal): Promise<Alive> {
  for (;;) {
    signal.throwIfAborted();
    for (const member of among) if (((await held(member))[what] ?? 0) > 0) return member;
  }
}

/** Resolves when all members are there and none holds anything. */
async function nothingHeld(dataCenter: LiveDataCenter, signal: AbortSignal): Promise<void> {
  const serving = await dataCenter.statusWhen(
    (all) => all.length === 5 && all.every(({ state }) => state === 'SERVING'),
    signal,
  );
  assert.is(serving.length, 5);
  for (const member of await members(dataCenter))
    for (let left = ['?']; left.length > 0;) {
      left = Object.entries(await held(member)).flatMap(([what, count]) =>
        count > 0 ? [`${member.id} holds ${String(count)} ${what}`] : [],
      );
      if (signal.aborted) throw new Error(left.join(', '));
    }
}

/** Runs a graph to its one end. */
async function run(dataCenter: LiveDataCenter, sent: Graph): Promise<RunEnded> {
  const { address } = await dataCenter.leader('application');
  const client = new ApplicationServiceClient(address, credentials.createInsecure());
  const ends: RunEnded[] = [];
  const stream = client.run({
    run: '',
    graph: sent,
    topology: 0,
    budgetMs: 25_000,
    durable: false,
  });
  for await (const { event } of stream as AsyncIterable<RunResponse>)
    if (event?.event?.$case === 'ended') ends.push(event.event.value);
  client.close();
  assert.is(ends.length, 1, 'a run ends once');
  return ends[0]!;
}

async function withStorage<T>(
  dataCenter: LiveDataCenter,
  use: (client: StorageServiceClient) => Promise<T>,
): Promise<T> {
  const { address } = await dataCenter.leader('storage');
  const client = new StorageServiceClient(address, credentials.createInsecure());
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

const slow = (n: number): string => `${FIBONACCI}; f(${String(n)})`;

/** Where a member dies, and what comes of the run all the same. */
const DEATHS = [
  {
    name: 'performs',
    graph: graph([step('w', 'math.evaluate', { expression: textValue(slow(25)) })]),
    type: 'math',
    what: 'running',
    result: '75025',
  },
  {
    name: 'drives a map',
    graph: graph(
      [
        step('s', 'math.split', { input: integerValue(240n), parts: integerValue(24n) }),
        map(
          'm',
          graph(
            [
              step('p', 'math.sum_powers', { exponent: integerValue(1n) }),
              step('e', 'math.evaluate', { expression: textValue(`${slow(21)} + input`) }),
            ],
            '>p',
            'p>e',
          ),
        ),
        step('t', 'math.sum'),
      ],
      's>m',
      'm>t',
    ),
    type: 'math',
    what: 'maps',
    result: String(28_920 + 24 * 10_946),
  },
  {
    name: 'holds a gate',
    graph: graph(
      [
        step('a', 'math.evaluate', { expression: textValue(slow(25)) }),
        step('b', 'math.evaluate', { expression: textValue('1 + 1') }),
        step('t', 'math.sum'),
      ],
      'a>t.input[0]',
      'b>t.input[1]',
    ),
    type: 'math',
    what: 'gates',
    result: '75027',
  },
] as const;

suite('a peer that admits and is killed', (test) => {
  for (const { name, graph: sent, type, what, result } of DEATHS)
    test(
      `while it ${name} costs the run an attempt, and nobody keeps anything`,
      async ({ signal }) => {
        const dataCenter = await shared.get();
        await nothingHeld(dataCenter, signal);
        const candidates = await members(dataCenter, type);
        const ended = run(dataCenter, sent);
        const victim = await holding(candidates, what, signal);
        process.kill(victim.pid, 'SIGKILL');
        const { state, attempts, failure, result: found } = await ended;
        assert.equal([state, failure?.message], [RunState.SUCCEEDED, undefined]);
        assert.ok(attempts >= 2, `${String(attempts)} attempts`);
        assert.equal(toPlain(found), result);
        await nothingHeld(dataCenter, signal);
      },
      { timeoutMs },
    );

  test(
    'while it is pulled from costs the run nothing but time, and nobody keeps anything',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const input = { client: 'faults', name: 'in.bin' };
      await withStorage(dataCenter, async (client) => {
        const stored = ask<PutResponse>((done) => {
          const call = client.put(done);
          void (async () => {
            call.write({
              part: { $case: 'header', value: { ...input, mediaType: '', sha256: '' } },
            });
            for (let sent = 0; sent < FILE_MIB; sent++)
              if (!call.write({ part: { $case: 'chunk', value: Buffer.alloc(MIB, sent) } }))
                await once(call, 'drain');
            call.end();
          })();
          return call;
        });
        assert.is((await stored).file?.sizeBytes, BigInt(FILE_MIB * MIB));
      });
      const candidates = await members(dataCenter, 'storage');
      const ended = run(
        dataCenter,
        graph(
          [
            step('r', 'storage.read', { client: textValue('faults'), name: textValue('in.bin') }),
            step('c', 'math.complement'),
            step('w', 'storage.write', { client: textValue('faults'), name: textValue('out.bin') }),
          ],
          'r>c',
          'c>w',
        ),
      );
      const victim = await holding(candidates, 'memories', signal);
      process.kill(victim.pid, 'SIGKILL');
      const { state, failure } = await ended;
      assert.equal([state, failure?.message], [RunState.SUCCEEDED, undefined]);
      const { file } = await withStorage(dataCenter, (client) =>
        ask<StatResponse>((done) => client.stat({ client: 'faults', name: 'out.bin' }, done)),
      );
      assert.is(file?.sizeBytes, BigInt(FILE_MIB * MIB));
      await nothingHeld(dataCenter, signal);
    },
    { timeoutMs },
  );

  test('in the end nothing is left', () => shared.close(), { timeoutMs });
});
