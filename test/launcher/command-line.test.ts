import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { assert, suite } from '../suite.js';
import { StubDataCenter } from './stub-data-center.js';

interface Ending {
  readonly args: readonly string[];
  readonly code: number;
  readonly stderr: RegExp;
}

const endings: readonly Ending[] = [
  { args: ['stauts'], code: 2, stderr: /unknown command 'stauts'\n\(Did you mean status\?\)/ },
  { args: ['up', '--detatch'], code: 2, stderr: /Did you mean --detach\?/ },
  { args: ['up', '--timeout', 'soon'], code: 2, stderr: /number of seconds/ },
  { args: ['logs', '-n', 'many'], code: 2, stderr: /whole number/ },
  { args: ['run'], code: 2, stderr: /missing required argument 'application'/ },
  { args: ['run', 'no-such-application'], code: 3, stderr: /there is no application no-such/ },
  { args: ['status'], code: 5, stderr: /no data center is running in .*; \.\/datacenter up/ },
  { args: ['node', 'math'], code: 5, stderr: /no data center is running/ },
  { args: ['models'], code: 5, stderr: /no data center is running/ },
  { args: ['models', 'pin', 'a'], code: 2, stderr: /NAME@VERSION, such as a@1/ },
  { args: ['models', 'load', 'a@x'], code: 2, stderr: /whole number from 1/ },
  { args: ['predict'], code: 2, stderr: /missing required argument 'file'/ },
  { args: ['predict', 'a.jpg', '--top', '0'], code: 2, stderr: /from 1 to 1000/ },
  { args: ['predict', 'a.jpg'], code: 5, stderr: /no data center is running/ },
  { args: ['logs'], code: 3, stderr: /no logs yet/ },
  { args: ['down'], code: 0, stderr: /no data center is running/ },
  { args: ['up', '--config', '/nowhere.ini'], code: 3, stderr: /no configuration \/nowhere\.ini/ },
];

suite('command line', (test) => {
  for (const { args, code, stderr } of endings)
    test(`${args.join(' ')} ends with ${String(code)} and says why on standard error`, async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      const result = await dataCenter.run(...args);
      assert.is(result.code, code, result.stderr);
      assert.match(result.stderr, stderr);
      assert.is(result.stdout, '');
    });

  test(
    'help starts with one line of usage and examples, on standard output',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      const all = [
        'up',
        'status',
        'down',
        'logs',
        'run',
        'apps',
        'node',
        'demo',
        'doctor',
        'setup',
        'tax',
        'models',
        'predict',
      ];
      const results = await Promise.all(
        [[], ['config'], ['config', 'show'], ...all.map((name) => [name])].map((command) =>
          dataCenter.run(...command, '--help'),
        ),
      );
      for (const { code, stdout } of results) {
        assert.is(code, 0);
        assert.match(stdout, /^Usage: \.\/datacenter .*\n\nExamples:\n {2}\S/);
      }
    },
    { timeoutMs: 30_000 },
  );

  test('a bad configuration ends with 2 and all that is wrong', async () => {
    await using dataCenter = await StubDataCenter.create({ math: {} });
    const file = path.join(dataCenter.folder, 'data_center.ini');
    await writeFile(
      file,
      '[ZooKeeper]\nservers = 2\nsevers = 3\n[Controllers]\ncontroller_names = a\n',
    );
    const { code, stderr } = await dataCenter.run('up');
    assert.is(code, 2);
    assert.match(stderr, /has 3 problems/);
    assert.match(stderr, /did you mean servers\?/);
    const doctor = await dataCenter.run('doctor');
    assert.is(doctor.code, 1);
    assert.match(doctor.stdout, /^wrong +configuration /m);
  });

  test('config show says where each value came from', async () => {
    await using dataCenter = await StubDataCenter.create({ math: { instances: 2 } });
    const table = await dataCenter.run('config', 'show');
    assert.match(table.stdout, /\[math_controller\] +instances +2 +file/);
    assert.match(table.stdout, /\[ZooKeeper\] +servers +3 +default/);
    const { stdout } = await dataCenter.run('config', 'show', '--json');
    const { values } = JSON.parse(stdout) as { values: Record<string, unknown>[] };
    assert.equal(
      values.find(({ section, key }) => section === 'math_controller' && key === 'instances'),
      {
        ...{ section: 'math_controller', key: 'instances', value: '2', origin: 'file' },
        variable: 'FRACTORY_MATH_CONTROLLER_INSTANCES',
      },
    );
  });

  test('the doctor lists every check, with the command that mends what is missing', async () => {
    await using dataCenter = await StubDataCenter.create({ math: {} });
    const { code, stdout } = await dataCenter.run('doctor', '--json');
    const { healthy, checks } = JSON.parse(stdout) as {
      healthy: boolean;
      checks: { subject: string; state: string; mend?: string }[];
    };
    assert.is(code, healthy ? 0 : 1);
    for (const subject of ['Node.js', 'npm packages', 'build', 'ZooKeeper', 'state folder'])
      assert.ok(
        checks.some((check) => check.subject === subject),
        subject,
      );
    for (const { state, mend } of checks) assert.is(mend === undefined, state === 'ok');
  });
});
