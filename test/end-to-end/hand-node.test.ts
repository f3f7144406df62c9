import { assert, suite } from '../suite.js';
import { ForeignClient } from './foreign-client.js';
import { LiveDataCenter, Shared } from './live-data-center.js';

interface Answer {
  readonly result: string;
  readonly runs: readonly { readonly receipts: readonly { operation: string; member: string }[] }[];
}

const timeoutMs = 60_000;
const shared = new Shared(() => LiveDataCenter.up({}, '--no-zookeeper'));
const SERVES = 'the log of the node follows';

suite('a data center with the embedded coordinator', (test) => {
  test(
    'says which coordinator it has, and has one leader of each type',
    async () => {
      const { coordinator, members } = await (await shared.get()).status();
      assert.is(coordinator, 'embedded');
      assert.is(members.length, 5);
      for (const type of ['application', 'cnn', 'math', 'storage'])
        assert.is(members.filter((one) => one.type === type && one.leader).length, 1, type);
      assert.is(new Set(members.map(({ epoch }) => epoch)).size, 5);
    },
    { timeoutMs },
  );

  test(
    'a node started by hand joins, shares the work, and leaves on Ctrl-C',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const node = dataCenter.start('node', 'math', '--name', 'math-9');
      await node.said(SERVES);
      const { address, state, type } = await dataCenter.member('math-9');
      assert.equal([state, type], ['SERVING', 'math']);
      const { result } = await new ForeignClient(address).call('MathService/Factorial', { n: '5' });
      assert.is(result, '120');
      const answer = await dataCenter.json<Answer>('run', 'shift-left', '--n', '7', '--m', '9');
      assert.is(answer.result, '3584');
      const at = (answer.runs[0]?.receipts ?? [])
        .filter(({ operation }) => operation === 'math.shift_left')
        .map(({ member }) => member);
      assert.equal([...new Set(at)].sort(), ['math-1', 'math-9']);

      const twice = await dataCenter.run('node', 'math', '--name', 'math-9');
      assert.is(twice.code, 1);
      assert.match(twice.stderr, /there is a member math-9 already/);

      node.signal('SIGINT');
      const { code, stderr } = await node.ended;
      assert.is(code, 130, stderr);
      await dataCenter.statusWhen((all) => all.every(({ id }) => id !== 'math-9'), signal);
      const after = await dataCenter.json<Answer>('run', 'shift-left');
      assert.is(after.result, '3584');
    },
    { timeoutMs },
  );

  test(
    'a node started by hand and killed is gone from status soon, with all of its processes',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const node = dataCenter.start('node', 'storage', '--name', 'spare');
      await node.said(SERVES);
      assert.is((await dataCenter.member('spare')).leader, false);
      node.signal('SIGKILL');
      await node.ended;
      await dataCenter.statusWhen((all) => all.every(({ id }) => id !== 'spare'), signal);
    },
    { timeoutMs },
  );

  test(
    'a node of no known type is refused, with what was meant',
    async () => {
      const { code, stderr } = await (await shared.get()).run('node', 'strorage');
      assert.is(code, 3);
      assert.match(stderr, /did you mean storage\?/);
    },
    { timeoutMs },
  );

  test(
    'down stops a node that was started by hand too, and nothing is left',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const node = dataCenter.start('node', 'math');
      await node.said(SERVES);
      const pids = await dataCenter.pids();
      await dataCenter.ok('down');
      assert.is((await node.ended).code, 0);
      await dataCenter.nothingLeft(pids, signal);
      await shared.close();
    },
    { timeoutMs },
  );
});
