import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { BadFlag, parsedFlags, timeOf, wholeOf } from '../../bench/flags.js';
import { projectRoot } from '../../config/paths.js';
import { assert, suite } from '../suite.js';

function said(program: string, ...args: string[]) {
  const file = path.join(projectRoot, 'dist/bench', program);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args]);
  return { code: status, stdout: stdout.toString(), stderr: stderr.toString() };
}

suite('flags of the programs that measure', (test) => {
  test('are read; what is none is told in a line', () => {
    const options = { for: { type: 'string' }, json: { type: 'boolean' } } as const;
    const { for: time, json } = parsedFlags(['--for', '3s', '--json'], options).values;
    assert.equal([time, json], ['3s', true]);
    for (const argv of [['--foo'], ['--for'], ['word'], ['--json=yes']])
      try {
        parsedFlags(argv, options);
        assert.unreachable(argv.join(' '));
      } catch (error) {
        assert.instance(error, BadFlag);
        assert.not.match((error as BadFlag).message, '\n');
      }
  });

  test('have values of their kind', () => {
    assert.is(timeOf('--for', '2m'), 120_000);
    assert.throws(() => timeOf('--for', 'banana'), /^--for banana is not a time such as/);
    assert.is(wholeOf('--n', undefined, [1, 9], 5), 5);
    assert.is(wholeOf('--n', '9', [1, 9], 5), 9);
    for (const value of ['10', '0', '1.5', '', 'x'])
      assert.throws(() => wholeOf('--n', value, [1, 9], 5), /is not a whole number from 1 to 9$/);
  });

  for (const program of ['long-soak/main.js', 'fuzz/main.js', 'interop/main.js', 'main.js'])
    test(`that are wrong end ${program} with 2 before anything is started, and --help with 0`, () => {
      const wrong = program === 'main.js' ? ['nope'] : ['--for', 'banana'];
      for (const args of [['--foo'], wrong]) {
        const { code, stdout, stderr } = said(program, ...args);
        assert.equal([code, stdout], [2, ''], stderr);
        assert.match(stderr, /^error: .* \(--help shows what there is\)\n$/);
      }
      const help = said(program, '--help');
      assert.is(help.code, 0);
      assert.match(help.stdout, /npm run/);
    });
});
