import { Metadata, status } from '@grpc/grpc-js';

import { RunAdmission } from '../../../controllers/application/run-admission.js';
import { Runner } from '../../../controllers/application/runner.js';
import { applicationService } from '../../../controllers/application/service.js';
import type { CallContext } from '../../../controllers/kernel/calls.js';
import { RunState } from '../../../protos/gen/fractory/v1/application.js';
import type {
  ApplicationServiceGetResponse,
  ApplicationServiceListResponse,
  CancelResponse,
  ListMembersResponse,
  ListOperationsResponse,
  PlanResponse,
  RunEvent,
  RunRequest,
  RunResponse,
} from '../../../protos/gen/fractory/v1/application.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue } from '../../../protos/values.js';
import { systemClock } from '../../../runtime/clock.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { StatusCode } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { assert, rejects, suite } from '../../suite.js';
import { chain, graph, map, one, step } from '../../services/application/graphs.js';
import { increment, operation } from '../kernel/kernels.js';
import { MemoryAccess } from './kernel-access.js';
import { MemoryJournalFiles } from './memory-journal.js';
import { Operations } from './operations.js';
import { ownerOf } from './owners.js';

const hang = operation('math.add', () => new Promise<Value>(() => undefined));

function serve(access: MemoryAccess) {
  const { runs, durable } = ownerOf(access, new MemoryJournalFiles(), { maxRuns: 4 });
  const runner = new Runner(access, silentLogger());
  const { handlers } = applicationService({
    member: 'application-1',
    kernel: access,
    runs,
    runner,
    durable,
    admission: new RunAdmission({ maxRuns: 8, maxWaiting: 4, clock: systemClock }),
  });
  const context: CallContext = {
    ...{ signal: new AbortController().signal, budgetMs: 1000, metadata: new Metadata() },
    ...{ peer: 'test', log: silentLogger() },
  };
  const call = async <R>(method: string, request: unknown): Promise<R> => {
    const handler = handlers[method];
    if (handler?.kind !== 'unary') throw new Error(`${method} is not unary`);
    return (await handler.handle(request, context)) as R;
  };
  const stream = (
    request: Partial<RunRequest>,
    method: 'run' | 'watch' = 'run',
  ): AsyncIterable<RunResponse> => {
    const handler = handlers[method];
    if (handler?.kind !== 'serverStream') throw new Error(`${method} is not a stream`);
    const graphs = { graph: chain(2, 1n), topology: 0, budgetMs: 0, durable: false };
    return handler.handle(
      { run: 'r', ...graphs, ...request },
      context,
    ) as AsyncIterable<RunResponse>;
  };
  const run = async (
    request: Partial<RunRequest> = {},
    method: 'run' | 'watch' = 'run',
  ): Promise<RunEvent[]> => {
    const events: RunEvent[] = [];
    for await (const { event } of stream(request, method)) if (event) events.push(event);
    return events;
  };
  const watch = (id: string) => run({ run: id }, 'watch');
  return { call, run, watch, stream, runs };
}

const lastOf = (events: readonly RunEvent[]) => {
  const event = events.at(-1)?.event;
  return event?.$case === 'ended' ? event.value : undefined;
};

suite('fractory.v1.ApplicationService', (test) => {
  test('Run streams accepted, attempted and ended', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment]);
    const { run, call } = serve(access);
    const events = await run();
    assert.equal(
      events.map(({ event }) => event?.$case),
      ['accepted', 'attempted', 'ended'],
    );
    assert.equal(lastOf(events)?.result, integerValue(3n));
    const { run: known } = await call<ApplicationServiceGetResponse>('get', { run: 'r' });
    assert.equal([known?.state, known?.graph?.steps.length], [RunState.SUCCEEDED, 2]);
    assert.equal(await run(), events, 'a second Run attaches');
  });

  test('Watch attaches to a run, also after its end', async () => {
    const access = new MemoryAccess();
    access.join('math-1', [hang]);
    const { run, call, watch } = serve(access);
    const events = run();
    await new Promise((resolve) => setImmediate(resolve));
    const watched = watch('r');
    await call<CancelResponse>('cancel', { run: 'r' });
    assert.equal(await watched, await events);
    assert.equal(await watch('r'), await events);
    await rejects(watch('x'), FractoryError, { reason: 'RUN_NOT_FOUND' });
    await rejects(watch('../x'), FractoryError, { code: status.INVALID_ARGUMENT });
  });

  test('a durable run is told as one, and attaches to no other', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment]);
    const { run, call, watch } = serve(access);
    const events = await run({ run: 'd', durable: true });
    assert.equal(lastOf(events)?.result, integerValue(3n));
    assert.equal(await watch('d'), events);
    assert.equal(await run({ run: 'd' }), events);
    const { run: known } = await call<ApplicationServiceGetResponse>('get', { run: 'd' });
    assert.is(known?.durable, true);
    await run({ run: 'plain' });
    await rejects(run({ run: 'plain', durable: true }), FractoryError, { reason: 'RUN_EXISTS' });
  });

  test('Run without an id chooses one', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment]);
    const { run } = serve(access);
    const [first, second] = [await run({ run: '' }), await run({ run: '' })];
    assert.match(first[0]?.run ?? '', /^[0-9a-f-]{36}$/);
    assert.is.not(first[0]?.run, second[0]?.run);
  });

  test('Run and Plan refuse maps that are very deep in maps', async () => {
    await using access = new MemoryAccess();
    const { run, call } = serve(access);
    let deep = graph([step('x')], '>x');
    for (let depth = 0; depth < 5000; depth++) deep = graph([map('m', deep)], '>m');
    const code = status.RESOURCE_EXHAUSTED;
    for (const refused of [run({ graph: deep }), call('plan', { graph: deep, topology: 0 })]) {
      const error = await rejects(refused, FractoryError, { code });
      assert.match(error.message, /max_map_depth is 8/);
    }
  });

  const refusals: [string, Partial<RunRequest>, StatusCode, RegExp][] = [
    ['no graph', { graph: undefined }, status.INVALID_ARGUMENT, /graph: is missing/],
    ['a bad graph', { graph: graph([]) }, status.INVALID_ARGUMENT, /at least one step/],
    ['a bad id', { run: '../x' }, status.INVALID_ARGUMENT, /run: /],
    [
      'an id that is too long',
      { run: 'x'.repeat(65) },
      status.INVALID_ARGUMENT,
      /65 characters, the limit is 64/,
    ],
    ['too many steps', { graph: chain(9, 1n) }, status.RESOURCE_EXHAUSTED, /max_steps is 8/],
    [
      'a graph that is too large',
      { graph: chain(2, 10n ** 3000n) },
      status.RESOURCE_EXHAUSTED,
      /max_graph_bytes is 2048/,
    ],
    [
      'a budget that is too long',
      { budgetMs: 10 ** 9 },
      status.RESOURCE_EXHAUSTED,
      /max_budget_ms is/,
    ],
  ];
  for (const [what, request, code, message] of refusals)
    test(`Run refuses ${what} before it begins`, async () => {
      await using access = new MemoryAccess({ max_steps: 8, max_graph_bytes: 2048 });
      const { run, runs } = serve(access);
      const error = await rejects(run(request), FractoryError, { code });
      assert.match(error.message, message);
      assert.is(runs.running, 0);
    });

  test('Cancel answers when the run has ended, and again afterwards', async () => {
    const access = new MemoryAccess();
    access.join('math-1', [hang]);
    const { run, call, runs } = serve(access);
    const events = run();
    await new Promise((resolve) => setImmediate(resolve));
    for (let times = 0; times < 2; times++)
      assert.equal(await call<CancelResponse>('cancel', { run: 'r' }), {
        state: RunState.CANCELLED,
      });
    assert.is(lastOf(await events)?.state, RunState.CANCELLED);
    assert.is(runs.running, 0);
  });

  test('Get and Cancel of an unknown run are NOT_FOUND', async () => {
    await using access = new MemoryAccess();
    const { call } = serve(access);
    for (const method of ['get', 'cancel'])
      await rejects(call(method, { run: 'x' }), FractoryError, { code: status.NOT_FOUND });
  });

  test('List pages through the runs, newest first', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment]);
    const { run, call } = serve(access);
    for (const id of ['a', 'b', 'c']) await run({ run: id });
    const list = (pageSize: number, pageToken = '') =>
      call<ApplicationServiceListResponse>('list', { pageSize, pageToken });
    const first = await list(2);
    assert.equal(
      first.runs.map((one) => [one.run, one.graph]),
      [
        ['c', undefined],
        ['b', undefined],
      ],
    );
    const second = await list(2, first.nextPageToken);
    assert.equal([second.runs.map((one) => one.run), second.nextPageToken], [['a'], '']);
    await rejects(list(2, 'x'), FractoryError, { code: status.INVALID_ARGUMENT });
  });

  test('ListMembers names one leader a type, ListOperations what they can do', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', [increment], 1);
    access.join('math-2', [increment], 2);
    access.join('text-1', [operation('text.read', () => integerValue(1n))], 3);
    const { call } = serve(access);
    const { members } = await call<ListMembersResponse>('listMembers', { type: '' });
    assert.equal(
      members.map(({ id, leader }) => [id, leader]),
      [
        ['math-1', true],
        ['math-2', false],
        ['text-1', true],
      ],
    );
    const onlyText = await call<ListMembersResponse>('listMembers', { type: 'text' });
    assert.is(onlyText.members.length, 1);
    const { operations } = await call<ListOperationsResponse>('listOperations', {});
    assert.equal(
      operations.map(({ name }) => name),
      ['math.add', 'text.read'],
    );
  });

  test('Plan tells who would do what, and what each step may touch, without running anything', async () => {
    await using access = new MemoryAccess();
    const operations = new Operations();
    for (const index of [1, 2]) access.join(`math-${String(index)}`, operations.all, index);
    const { call } = serve(access);
    const inner = graph([step('x', 'math.add', { by: one }, { timeoutMs: 9, retries: 2 })], '>x');
    const sent = graph(
      [
        step('s', 'math.sum'),
        map('m', inner),
        step('l', 'math.split', { input: integerValue(3n) }),
      ],
      ...['l>m', 'm>s'],
    );
    const { steps, budgetMs } = await call<PlanResponse>('plan', { graph: sent, topology: 0 });
    assert.equal(
      steps.map(({ step: id, operation: name, map: around, inputs, output }) => [
        ...[id, name, around, inputs, output],
      ]),
      [
        ['l', 'math.split', '', [], ['list']],
        ['m', '', '', ['input'], ['list']],
        ['x', 'math.add', 'm', ['input'], ['integer']],
        ['s', 'math.sum', '', ['input'], ['integer']],
      ],
    );
    assert.equal(
      steps.map(({ members }) => members.length),
      [1, 0, 2, 1],
    );
    const x = steps[2];
    assert.equal(
      [x?.fixed, x?.timeoutMs, x?.retries, x?.idempotent],
      [[{ name: 'by', value: one }], 9, 2, true],
    );
    assert.is(budgetMs, access.limits.default_budget_ms);
    assert.equal([operations.begun, access.world.carried], [[], []]);
  });

  test('Plan refuses what Run refuses', async () => {
    await using access = new MemoryAccess();
    access.join('math-1', new Operations().all);
    const { call } = serve(access);
    for (const bad of [undefined, graph([]), graph([step('a', 'math.nothing')])])
      await rejects(call('plan', { graph: bad, topology: 0 }), FractoryError, {
        code: status.INVALID_ARGUMENT,
      });
  });
});
