import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { ArmFigures, TaxRow } from '../../launcher/tax/rows.js';
import { assert, suite } from '../suite.js';
import { StartedCommand } from './started-command.js';
import type { CommandResult } from './started-command.js';

const launcher = fileURLToPath(new URL('../../launcher/main.js', import.meta.url));
const KIB = 1024;
const MIB = 1024 * KIB;

/** Why links can't be shaped here. */
function noNamespaces(): string | false {
  if (process.getuid?.() !== 0) return 'it needs root';
  const makes = ['--net', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run && ip netns add a'];
  const { status, stderr, error } = spawnSync('unshare', makes, { encoding: 'utf8' });
  return status === 0 ? false : `no namespaces or no iproute2: ${error?.message ?? stderr.trim()}`;
}

/** A folder for the state and the picture of a tax. */
async function tax(): Promise<
  AsyncDisposable & {
    readonly folder: string;
    start(args: readonly string[], environment?: NodeJS.ProcessEnv): StartedCommand;
  }
> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-tax-test-'));
  return {
    folder,
    start: (args, environment = process.env) =>
      new StartedCommand(process.execPath, [launcher, 'tax', ...args], {
        environment: { ...environment, FRACTORY_STATE: folder, TAX_TEST_FOLDER: folder },
        deadlineMs: 100_000,
      }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

function rowsOf({ code, stdout, stderr }: CommandResult): TaxRow[] {
  assert.is(code, 0, stderr);
  const lines = stdout.trim().split('\n');
  return lines.map((line) => JSON.parse(line) as TaxRow);
}

/** Processes that were started for this folder, whoever started them: their environment names it. */
async function processesOf(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')),
  );
  return pids.filter((_, index) => lines[index]?.includes(folder));
}

/**
 * What the kernel may count beyond our own counters: at most 66 bytes of Ethernet, IP and TCP for each 1448 of content and 66 for an acknowledgement of every
 * second such segment, which is 6.9 %; 9 bytes of HTTP/2 for each 16 KiB; and for each message a small segment with
 * its acknowledgement and the window updates of HTTP/2 in both directions.
 */
function checkAgainstKernel({ wireBytes, messages, interfaceBytes = 0 }: ArmFigures): void {
  assert.ok(interfaceBytes > wireBytes, `${String(interfaceBytes)} > ${String(wireBytes)}`);
  const most = wireBytes * 1.07 + messages * 400;
  assert.ok(interfaceBytes < most, `${String(interfaceBytes)} < ${String(most)}`);
}

suite('./datacenter tax', (test) => {
  test(
    'prints one row of JSON for each graph and size, and draws them',
    async () => {
      await using fixture = await tax();
      const args = ['--sizes', '1KiB,1MiB', '--rounds', '5', '--json'];
      const rows = rowsOf(await fixture.start(args).ended);
      assert.equal(
        rows.map(({ graph, payloadBytes }) => [graph, payloadBytes]),
        [
          ['linear', KIB],
          ['linear', MIB],
          ['layered', KIB],
          ['layered', MIB],
        ],
      );
      const large = rows.filter(({ payloadBytes }) => payloadBytes === MIB);
      const [linear, layered] = large.map(({ bytesRatio }) => bytesRatio);
      assert.ok(linear! >= 1.95, `linear: ${String(linear)}`);
      assert.ok(layered! >= 2.9, `layered: ${String(layered)}`);
      for (const { star, ring } of rows)
        for (const { p50Ms, p99Ms, messages } of [star, ring])
          assert.ok(p50Ms > 0 && p99Ms >= p50Ms && messages > 0);
      assert.match(await readFile(path.join(fixture.folder, 'tax.svg'), 'utf8'), /^<svg /);
    },
    { timeoutMs: 100_000 },
  );

  test(
    "with links of their own the nodes' counters agree with the kernel's",
    async () => {
      await using fixture = await tax();
      const args = ['--sizes', '4KiB,1MiB', '--rounds', '5', '--rate', '1gbit', '--json'];
      const result = await fixture.start(args).ended;
      const rows = rowsOf(result);
      const [, rate, unit] = /raw TCP .* has ([\d.]+) ([MG]bit)\/s/.exec(result.stderr) ?? [];
      const megabits = Number(rate) * (unit === 'Gbit' ? 1000 : 1);
      assert.ok(megabits > 800 && megabits < 1000, `${String(megabits)} Mbit/s`);
      for (const { star, ring } of rows) for (const arm of [star, ring]) checkAgainstKernel(arm);
    },
    { timeoutMs: 100_000, skip: noNamespaces() },
  );

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const)
    test(
      `leaves neither processes nor namespaces after ${signal}`,
      async ({ signal: over }) => {
        await using fixture = await tax();
        const named = await namedNamespaces();
        const command = fixture.start(['--rate', '1gbit', '--graph', 'linear']);
        await command.said('round 1 of');
        assert.ok((await processesOf(fixture.folder)).length > 0);
        command.signal(signal);
        const { code } = await command.ended;
        if (signal === 'SIGINT') assert.is(code, 130);
        while ((await processesOf(fixture.folder)).length > 0) {
          over.throwIfAborted();
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        assert.equal(await namedNamespaces(), named);
      },
      { timeoutMs: 60_000, skip: noNamespaces() },
    );

  test('says what to install where a program is missing', async () => {
    await using fixture = await tax();
    await symlink(process.execPath, path.join(fixture.folder, 'node'));
    const environment = { PATH: fixture.folder };
    const { code, stdout, stderr } = await fixture.start(['--rate', '1gbit'], environment).ended;
    assert.is(code, 3);
    assert.is(stdout, '');
    assert.match(stderr, /ip, which is not installed; .*: apt-get install iproute2/);
  });

  for (const [args, complaint] of [
    [['--sizes', '1TiB'], /sizes from 256 B to 16 MiB/],
    [['--rounds', '4'], /whole number from 5/],
    [['--rate', 'fast'], /rate from 1mbit/],
    [['--latency', '1h'], /time from 1us/],
    [['--graph', 'round'], /Allowed choices are linear, layered/],
  ] as const)
    test(`${args.join(' ')} is wrong usage`, async () => {
      await using fixture = await tax();
      const { code, stderr } = await fixture.start(args).ended;
      assert.is(code, 2);
      assert.match(stderr, complaint);
    });

  for (const [picture, complaint] of [
    ['nosuch/x.svg', /the picture can't be .*: there is no folder .*nosuch$/m],
    ['.', /the picture can't be .*: it is a folder$/m],
  ] as const)
    test(`refuses the picture ${picture} before it measures, and makes no folder`, async () => {
      await using fixture = await tax();
      const place = path.join(fixture.folder, picture);
      const { code, stderr } = await fixture.start(['--picture', place]).ended;
      assert.is(code, 2);
      assert.match(stderr, complaint);
      assert.not.match(stderr, 'warm-up');
      assert.equal(await readdir(fixture.folder), []);
    });

  test(
    'Ctrl-C while the data center starts prints nothing but that it stopped',
    async () => {
      await using fixture = await tax();
      const command = fixture.start(['--rate', '1gbit', '--graph', 'linear']);
      await command.said('raw TCP');
      command.signal('SIGINT');
      const { code, stderr } = await command.ended;
      assert.is(code, 130);
      assert.not.match(stderr, /^E /m);
    },
    { timeoutMs: 60_000, skip: noNamespaces() },
  );

  test('does not touch namespaces of the machine when it is told that it is inside and is not', async () => {
    await using fixture = await tax();
    const outside = await readlink('/proc/self/ns/mnt');
    const args = ['--rate', '1gbit', '--outside', outside];
    const { code, stderr } = await fixture.start(args).ended;
    assert.is(code, 1);
    assert.match(stderr, /not in namespaces of its own/);
  });
});

async function namedNamespaces(): Promise<string[]> {
  return await readdir('/run/netns').catch(() => []);
}
