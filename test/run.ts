import { spawn, spawnSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Runs test files, each in a process of its own, two at a time, and ends with the line `N passed, N failed`.
 * Arguments: parts of the paths to run (default: all), `--node FILE` to run under another Node.js. Without any, the files outside
 * `end-to-end/` run under the current Node.js LTS too.
 */
const FILE_TIMEOUT_MS = 300_000;
const KILL_GRACE_MS = 5000;
const PARALLEL = 2;
const here = path.dirname(fileURLToPath(import.meta.url));

interface Outcome {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly output: string;
}

async function testFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await testFiles(full)));
    else if (entry.name.endsWith('.test.js')) found.push(full);
  }
  return found.sort();
}

/** uvu prints ANSI colours only on a terminal; its summary lines are `Total:`, `Passed:`, `Skipped:`. */
function count(output: string, label: string): number {
  let sum = 0;
  for (const match of output.matchAll(new RegExp(`^\\s*${label}:\\s+(\\d+)`, 'gm')))
    sum += Number(match[1]);
  return sum;
}

function runFile(node: string, file: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(node, ['--enable-source-maps', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    let output = '';
    const keep = (data: Buffer): void => {
      output += data.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    let lastResort: NodeJS.Timeout | undefined;
    const watchdog = setTimeout(() => {
      output += `\nthe file took longer than ${String(FILE_TIMEOUT_MS)} ms and was killed\n`;
      // Asked first: it may have started processes that it has to end.
      child.kill('SIGTERM');
      lastResort = setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS);
    }, FILE_TIMEOUT_MS);
    child.on('close', (code) => {
      clearTimeout(watchdog);
      clearTimeout(lastResort);
      resolve(outcomeOf(file, code, output));
    });
  });
}

function outcomeOf(file: string, code: number | null, output: string): Outcome {
  const total = count(output, 'Total');
  const passed = count(output, 'Passed');
  const skipped = count(output, 'Skipped');
  // A file that ran nothing, or that ended badly although its tests passed, has failed.
  const broken = total + skipped === 0 || (code !== 0 && total === passed) ? 1 : 0;
  return { file, passed, skipped, failed: total - passed + broken, output };
}

interface Sums {
  passed: number;
  failed: number;
  skipped: number;
}

/** Runs files under one Node.js, prints how each went and adds to the sums. */
async function runFiles(node: string, files: readonly string[], sums: Sums): Promise<void> {
  const queue = [...files];
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (let file = queue.shift(); file; file = queue.shift()) {
        const outcome = await runFile(node, file);
        for (const key of ['passed', 'failed', 'skipped'] as const) sums[key] += outcome[key];
        const mark = outcome.failed > 0 ? 'FAILED' : 'ok';
        console.log(
          `${mark.padEnd(7)}${path.relative(here, file)}  ${String(outcome.passed)} passed`,
        );
        if (outcome.failed > 0) console.log(outcome.output);
        else
          for (const line of outcome.output.matchAll(/^ {2}skipped: .*$/gm)) console.log(line[0]);
      }
    }),
  );
}

/** The current Node.js LTS where `./datacenter setup --for-tests` has brought it; otherwise a line that says why not. */
function ltsNode(): string | undefined {
  const binary = path.join(here, '../../test/node-lts/node_modules/.bin/node');
  const { status, stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  if (status !== 0) {
    console.log('skipped: the tests under the current Node.js LTS, which could not be installed');
    return undefined;
  }
  if (stdout.trim() === process.version) return undefined;
  console.log(`\nunit and contract tests under Node.js ${stdout.trim()}`);
  return binary;
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const nodeFlag = args.indexOf('--node');
  const node = nodeFlag >= 0 ? (args.splice(nodeFlag, 2)[1] ?? '') : process.execPath;
  const all = await testFiles(here);
  const chosen =
    args.length > 0 ? all.filter((file) => args.some((arg) => file.includes(arg))) : all;
  const sums: Sums = { passed: 0, failed: 0, skipped: 0 };
  await runFiles(node, chosen, sums);
  if (chosen === all && nodeFlag < 0) {
    const lts = ltsNode();
    const endToEnd = path.join(here, 'end-to-end') + path.sep;
    const others = all.filter((file) => !file.startsWith(endToEnd));
    if (lts !== undefined) await runFiles(lts, others, sums);
  }
  if (chosen.length === 0) console.log(`no test file matches ${args.join(' ')}`);
  if (sums.skipped > 0) console.log(`${String(sums.skipped)} skipped`);
  console.log(`${String(sums.passed)} passed, ${String(sums.failed)} failed`);
  process.exitCode = sums.failed > 0 || sums.passed === 0 ? 1 : 0;
}

await main();
