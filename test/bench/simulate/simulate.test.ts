import { spawnSync } from 'node:child_process';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { BadFlag, readFlags } from '../../../bench/simulate/flags.js';
import { projectRoot } from '../../../config/paths.js';
import { assert, suite } from '../../suite.js';

function simulate(...flags: string[]) {
  const main = path.join(projectRoot, 'dist/bench/simulate/main.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...flags]);
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

suite('the simulator as a command', (test) => {
  test('prints a table, and draws a picture', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'simulate-'));
    const svg = path.join(folder, 'p.svg');
    const { status, stdout } = simulate(
      '--members',
      '60',
      '--crash',
      '1',
      '--for',
      '20s',
      '--svg',
      svg,
    );
    assert.is(status, 0);
    for (const words of [
      'first detection',
      'x formula',
      'false positives',
      'push/pull',
      'x real time',
    ])
      assert.ok(stdout.includes(words), words);
    const picture = await readFile(svg, 'utf8');
    assert.match(picture, /^<svg [^]*deaths[^]*<\/svg>\n$/);
    await rm(folder, { recursive: true });
  });

  test('prints JSON where it is asked to', () => {
    const { stdout } = simulate('--members', '20', '--crash', '2', '--for', '15s', '--json');
    const { outcome } = JSON.parse(stdout) as { outcome: { first: { count: number } } };
    assert.is(outcome.first.count, 2);
  });

  test('says in one line what it does not understand, and ends with 2', () => {
    const { status, stdout, stderr } = simulate('--members', 'many');
    assert.is(status, 2);
    assert.is(stdout, '');
    assert.is(stderr.trim().split('\n').length, 1);
    assert.match(stderr, /--members many is not a whole number from 2 to 100000/);
  });

  test('refuses what makes no sense', () => {
    for (const words of [
      ...[
        '--nonsense',
        'word',
        '--loss 1',
        '--loss -0.1',
        '--loss',
        '--members 1',
        '--members 1.5',
      ],
      ...['--crash 1000', '--members 10 --crash 5 --pause 5', '--latency 5', '--latency 9-3'],
      ...['--profile moon', '--lifeguard perhaps', '--for soon', '--partition 1', '--seed -1'],
      ...['--tags 513', '--results --json'],
    ])
      assert.throws(
        () => readFlags(words.split(' ')),
        (error: unknown) => error instanceof BadFlag && /^[a-z-]/.test(error.message),
        words,
      );
  });

  test('reads every flag that it shows', () => {
    const asked = readFlags(
      '--members 50 --crash 1 --join 2 --pause 3 --pause-for 2s --run-for 10ms --partition 0.5 --heal-after 9s --loss 0.1 --latency 1-2 --profile wan --lifeguard off --tcp-ping off --tags 9 --for 1m --seed 7 --json --svg x'.split(
        ' ',
      ),
    );
    if (typeof asked === 'string') throw new Error(asked);
    const { profile, ...rest } = asked.experiment;
    assert.equal(rest, {
      ...{ members: 50, crash: 1, join: 2, seed: 7, loss: 0.1, latencyMs: [1, 2], forMs: 60_000 },
      pause: { members: 3, stoppedMs: 2000, runsMs: 10 },
      partition: { share: 0.5, healAfterMs: 9000 },
      ...{ watchesStalls: false, metaBytes: 9 },
    });
    assert.is(profile.tcpFallback, false);
    assert.is(profile.suspicionMaxMultiplier, 1);
    assert.is(profile.probeIntervalMs, 5000);
  });
});
