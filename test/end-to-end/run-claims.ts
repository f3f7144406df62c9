import { assert } from '../suite.js';
import type { Json } from './foreign-client.js';
import type { Claims } from './wire.js';
import { watchedRun } from './watched-run.js';

const timeoutMs = 60_000;

const argument = (name: string, value: Json): Json => ({ name, value });
const file = (name: string): Json[] => [
  argument('client', { text: 'runs' }),
  argument('name', { text: name }),
];
const step = (id: string, operation: string, ...args: Json[]): Json => ({
  ...{ id, operation, arguments: args },
});
const edge = (from: string, to: string): Json => ({ from, to });
const sequence = (...steps: Json[]): Json => ({
  name: 'foreign',
  steps,
  edges: steps.slice(1).map(({ id }, index) => edge(String(steps[index]?.['id']), String(id))),
});
const integer = (value: string): Json => argument('input', { integer: value });
const factorial = step('first', 'math.factorial', integer('20'));
const double = (id: string): Json => step(id, 'math.shift_left', argument('m', { integer: '1' }));

/** Long enough to be met on its way. */
const slow = (id: string): Json =>
  step(
    id,
    'math.evaluate',
    argument('expression', { text: 'f(n) = n < 2 ? n : f(n - 1) + f(n - 2); f(23)' }),
  );

export const runClaims: Claims = (test, wire) => {
  for (const topology of ['TOPOLOGY_RING', 'TOPOLOGY_STAR'])
    test(
      `runs a graph as ${topology} and finds it again`,
      async () => {
        const application = await wire.at('application');
        const run = `foreign-${topology}`;
        const name = `answer-${topology}`;
        const graph = sequence(
          factorial,
          double('second'),
          step('last', 'storage.write', ...file(name)),
        );
        const events = await application.stream<{ event: Json }>('ApplicationService/Run', {
          ...{ run, graph, topology },
        });
        assert.equal(
          events.map(({ event }) => Object.keys(event).find((key) => key !== 'run')),
          ['accepted', 'attempted', 'ended'],
        );
        const ended = events.at(-1)?.event['ended'] as {
          state: string;
          receipts: { step: string; member: string }[];
        };
        assert.is(ended.state, 'RUN_STATE_SUCCEEDED');
        assert.equal(
          ended.receipts.map((receipt) => [receipt.step, receipt.member]),
          [
            ['first', 'math-1'],
            ['second', 'math-1'],
            ['last', (await wire.member('storage')).id],
          ],
        );
        const [, content] = await (
          await wire.at('storage')
        ).stream<{ chunk?: string }>(
          ...(['StorageService/Get', { client: 'runs', name }] as const),
        );
        const stored = Buffer.from(content?.chunk ?? '', 'base64').toString();
        assert.is(stored, String(2_432_902_008_176_640_000n * 2n));

        const got = await application.call<{ run: Json }>('ApplicationService/Get', { run });
        assert.equal([got.run['state'], got.run['topology']], ['RUN_STATE_SUCCEEDED', topology]);
        // The same id and graph again attach to the run that was.
        const again = await application.stream<{ event: Json }>('ApplicationService/Run', {
          ...{ run, graph, topology },
        });
        assert.equal(again, events);
        const other = await application.failure('ApplicationService/Run', {
          ...{ run, graph: sequence(factorial), topology },
        });
        assert.is(other.code, 'already_exists');
        const { runs } = await application.call<{ runs: Json[] }>('ApplicationService/List', {});
        assert.ok(runs.some((one) => one['run'] === run));
      },
      { timeoutMs },
    );

  test(
    'sees members and operations',
    async () => {
      const application = await wire.at('application');
      const { members } = await application.call<{ members: Json[] }>(
        'ApplicationService/ListMembers',
        { type: 'storage' },
      );
      const expected = (await wire.members()).filter(({ type }) => type === 'storage');
      assert.is(expected.length, 2);
      assert.equal(
        members.map(({ id, address, epoch, leader = false }) => [id, address, epoch, leader]),
        expected.map(({ id, address, epoch, leader }) => [id, address, epoch, leader]),
      );
      const { operations } = await application.call<{ operations: { name: string }[] }>(
        'ApplicationService/ListOperations',
        {},
      );
      const names = operations.map(({ name }) => name);
      for (const name of ['storage.read', 'storage.write', 'storage.delete', 'storage.list'])
        assert.ok(names.includes(name), name);
      for (const name of ['math.factorial', 'math.evaluate', 'cnn.predict'])
        assert.ok(names.includes(name), name);
    },
    { timeoutMs },
  );

  test(
    'cancels a run, once and for all',
    async () => {
      const application = await wire.at('application');
      const { address } = await wire.member('application');
      const graph = sequence(
        step('first', 'math.factorial', integer('3')),
        ...Array.from({ length: 40 }, (_, index) => slow(`s${String(index)}`)),
      );
      const run = watchedRun(address, { run: 'to-cancel', graph });
      await run.said('"attempted"');
      await application.call('ApplicationService/Cancel', { run: 'to-cancel' });
      assert.is((await run.end()).state, 'RUN_STATE_CANCELLED');
      const again = await application.call('ApplicationService/Cancel', { run: 'to-cancel' });
      assert.is(again['state'], 'RUN_STATE_CANCELLED');
      const unknown = await application.failure('ApplicationService/Cancel', { run: 'never-was' });
      assert.equal([unknown.code, unknown.reason], ['not_found', 'RUN_NOT_FOUND']);
    },
    { timeoutMs },
  );

  test(
    'is told why a run failed: which step, where, and how',
    async () => {
      const { address } = await wire.member('application');
      const rows: readonly (readonly [Json, string, string, string])[] = [
        [
          step('read', 'storage.read', ...file('nothing')),
          'FILE_NOT_FOUND',
          'read',
          (await wire.member('storage')).id,
        ],
        [
          step('big', 'math.shift_left', integer('1'), argument('m', { integer: '99999999999' })),
          'LIMIT_EXCEEDED',
          'big',
          'math-1',
        ],
        [
          step(
            'see',
            'cnn.predict',
            argument('input', { bytes: { mediaType: 'image/png', data: 'aGk=' } }),
          ),
          'UNSUPPORTED_IMAGE',
          'see',
          'cnn-1',
        ],
      ];
      for (const [only, reason, where, member] of rows) {
        const { state, failure } = await watchedRun(address, { graph: sequence(only) }).end();
        assert.is(state, 'RUN_STATE_FAILED');
        assert.equal(
          { ...failure, code: 0, message: '', metadata: 0 },
          {
            ...{ code: 0, message: '', metadata: 0, reason, step: where, member },
          },
        );
      }
      const graph = sequence(
        step('a', 'math.factorial', integer('5')),
        ...[1, 2, 3, 4].map((n) => slow(`s${String(n)}`)),
      );
      const late = await watchedRun(address, { graph, budgetMs: 50 }).end();
      assert.is(late.state, 'RUN_STATE_TIMED_OUT');
    },
    { timeoutMs },
  );

  test(
    'is told everything that is wrong with a graph before it runs',
    async () => {
      const application = await wire.at('application');
      const rows: readonly (readonly [Json, RegExp])[] = [
        [{}, /at least one step/],
        [{ steps: [{ id: 'a b', operation: 'math.factorial' }] }, /"a b" is not an id/],
        [{ steps: [factorial, factorial] }, /first stands for two steps/],
        [{ steps: [{ id: 'a', operation: 'rm -rf' }] }, /not of the form type\.operation/],
        [{ steps: [factorial], edges: [edge('first', 'none')] }, /there is no step none/],
        [
          {
            steps: [factorial, double('b')],
            edges: [{ ...edge('first', 'b'), argument: 'input[1]' }],
          },
          /no edge leads to input\[0\] of step b/,
        ],
        [{ steps: [double('a'), double('b')], edges: [edge('a', 'b'), edge('b', 'a')] }, /cycle/],
      ];
      for (const [graph, message] of rows) {
        const error = await application.failure('ApplicationService/Run', { graph });
        assert.equal([error.code, error.reason], ['invalid_argument', 'BAD_GRAPH'], error.message);
        assert.match(error.message, message);
      }
      const many = Array.from({ length: 1100 }, (_, index) => double(`s${String(index)}`));
      const large = await application.failure('ApplicationService/Run', {
        graph: sequence(...many),
      });
      assert.equal([large.code, large.metadata['limit']], ['resource_exhausted', 'max_steps']);
    },
    { timeoutMs },
  );

  test(
    'is told of steps that no node can do, before the first of them is done',
    async () => {
      const { address } = await wire.member('application');
      const write = step('w', 'storage.write', ...file('never-written'));
      const rows: readonly (readonly [Json, string, RegExp])[] = [
        [sequence(factorial, step('b', 'math.cube')), 'BAD_GRAPH', /no operation math\.cube/],
        [
          sequence(factorial, step('b', 'cnn.predict')),
          'BAD_GRAPH',
          /yields integer, cnn\.predict takes bytes/,
        ],
        [
          sequence(factorial, step('b', 'math.shift_left')),
          'BAD_GRAPH',
          /argument m: math\.shift_left needs it/,
        ],
        [
          sequence(
            factorial,
            write,
            step('c', 'math.shift_left', argument('by', { integer: '1' })),
          ),
          'BAD_GRAPH',
          /argument by/,
        ],
      ];
      for (const [graph, reason, message] of rows) {
        const { state, failure, receipts = [] } = await watchedRun(address, { graph }).end();
        assert.is(state, 'RUN_STATE_FAILED');
        assert.is(failure?.reason, reason);
        assert.match(failure?.message ?? '', message);
        assert.is(receipts.length, 0);
      }
      const storage = await wire.at('storage');
      const error = await storage.failure('StorageService/Stat', {
        ...{ client: 'runs', name: 'never-written' },
      });
      assert.is(error.code, 'not_found');
    },
    { timeoutMs },
  );
};
