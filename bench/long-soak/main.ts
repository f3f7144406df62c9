import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import path from 'node:path';

import { placesFrom, projectRoot } from '../../config/paths.js';
import { readExperiment } from '../../launcher/chaos/experiment.js';
import type { MonkeySummary } from '../../launcher/chaos/report.js';
import { timeline } from '../../launcher/chaos/timeline.js';
import { exitCodeOf } from '../../launcher/child-exit.js';
import { commandContext } from '../../launcher/command-context.js';
import { Interruption } from '../../launcher/interruption.js';
import { findRunning, withCoordinator } from '../../launcher/running-data-center.js';
import { Terminal } from '../../launcher/terminal.js';
import { readTerminal } from '../../config/terminal.js';
import { sleep } from '../../runtime/deadline.js';
import { askedOf, MOST_SEED, parsedFlags, timeOf, wholeOf } from '../flags.js';
import { trendsOf } from './flatness.js';
import { isSoaked, soakMarkdown } from './report.js';
import { takeSample } from './sampler.js';
import type { Sample } from './sampler.js';

const MOST_SAMPLES = 240;
const SHORTEST_GAP_MS = 2000;
/** Never killed, so that they live long enough to show growth. */
const SPARED = ['application-2', 'cnn-2', 'math-2', 'storage-2'];
const TYPES = ['application', 'cnn', 'math', 'storage'];

const HELP = `Runs a data center of its own under load and random faults, and says whether it stays flat.

  npm run soak -- [flags]

  --for T      how long (default 30m)
  --every T    one fault each (default 5s)
  --seed S     the same choices for the same seed
  --runs N     runs a second (default 20)`;

const { forMs, everyMs, seed, runsPerSecond } = askedOf(HELP, (argv) => {
  const text = { type: 'string' } as const;
  const { values } = parsedFlags(argv, { for: text, every: text, seed: text, runs: text });
  return {
    forMs: timeOf('--for', values.for ?? '30m'),
    everyMs: timeOf('--every', values.every ?? '5s'),
    seed: wholeOf('--seed', values.seed, [0, MOST_SEED], Date.now() % 2 ** 32),
    runsPerSecond: wholeOf('--runs', values.runs, [0, 1000], 20),
  };
});
const out = path.join(placesFrom().statePath, 'soak');
const statePath = await mkdtemp(path.join(tmpdir(), 'fractory-soak-'));
process.env['FRACTORY_STATE'] = statePath;
// All that it starts collects its garbage when it is told to.
process.env['NODE_OPTIONS'] =
  `--import ${new URL('../collect-on-signal.js', import.meta.url).href}`;
const interruption = new Interruption();
interruption.listen();
interruption.handle();
const context = commandContext(new Terminal(readTerminal()), interruption);

let passed = false;
try {
  passed = await soak();
} catch (error) {
  if (!interruption.signal.aborted) throw error;
} finally {
  await datacenter(['down']);
  await rm(statePath, { recursive: true, force: true });
}
process.exit(passed ? 0 : 1);

async function soak(): Promise<boolean> {
  const startedAt = new Date().toISOString();
  const configFile = path.join(statePath, 'data_center.ini');
  await writeFile(configFile, ini());
  await datacenter(['up', '--detach', '--config', configFile]);
  const samples: Sample[] = [];
  const sampling = new AbortController();
  const sampled = sampleUntil(sampling.signal, samples);
  const monkey = ['chaos', 'monkey', '--json', '--for', `${String(forMs)}ms`];
  monkey.push('--every', `${String(everyMs)}ms`, '--seed', String(seed));
  monkey.push('--runs', String(runsPerSecond));
  const said = await datacenter([...monkey, '--spare', SPARED.join(',')], true);
  sampling.abort();
  await sampled;
  if (interruption.signal.aborted) return false;
  const runs = JSON.parse(said.trim().split('\n').at(-1) ?? '{}') as MonkeySummary;
  const report = {
    ...{ startedAt, minutes: Math.round(forMs / 6000) / 10, seed },
    machine: `${String(availableParallelism())} cores of ${cpus()[0]?.model ?? 'an unknown processor'}, Node.js ${process.version}`,
    ...{ runs, trends: trendsOf(samples) },
  };
  await mkdir(out, { recursive: true });
  const file = path.join(out, startedAt.replaceAll(/[:.]/g, ''));
  await writeFile(`${file}.json`, `${JSON.stringify({ ...report, samples })}\n`);
  await writeFile(`${file}.md`, soakMarkdown(report));
  await writeFile(`${file}.svg`, timeline(await readExperiment(statePath)));
  console.log(soakMarkdown(report));
  console.error(`the report is ${file}.md, with .json and .svg beside it`);
  return isSoaked(report);
}

async function sampleUntil(stop: AbortSignal, samples: Sample[]): Promise<void> {
  const gapMs = Math.max(SHORTEST_GAP_MS, forMs / MOST_SAMPLES);
  const startMs = performance.now();
  await withCoordinator(await findRunning(context), async (coordinator) => {
    while (!stop.aborted) {
      // Lives change: it is read again what runs.
      const running = await findRunning(context);
      samples.push(await takeSample(performance.now() - startMs, running, coordinator));
      await sleep(gapMs, stop).catch(() => undefined);
    }
  });
}

/** Runs a command of `./datacenter` to its end; its standard output if it is to be kept. */
async function datacenter(args: readonly string[], keeps = false): Promise<string> {
  const main = path.join(projectRoot, 'dist/launcher/main.js');
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (data: Buffer) => {
    if (keeps) said += data.toString();
  });
  const stop = (): void => {
    if (args[0] !== 'down') child.kill(interruption.by);
  };
  interruption.signal.addEventListener('abort', stop, { once: true });
  const code = await exitCodeOf(child);
  interruption.signal.removeEventListener('abort', stop);
  if (code !== 0 && !keeps && !interruption.signal.aborted)
    throw new Error(`./datacenter ${args.join(' ')} ended with ${String(code)}`);
  return said;
}

function ini(): string {
  return [
    ...['[DataCenter]', 'name = soak', '[Controllers]'],
    `controller_names = ${TYPES.map((type) => `${type}_controller`).join(', ')}`,
    ...TYPES.flatMap((type) => [
      `[${type}_controller]`,
      `paths_to_controller = controllers/${type}/main.ts`,
      'instances = 2',
      `routing = ${type === 'storage' || type === 'application' ? 'leader' : 'any'}`,
    ]),
    '',
  ].join('\n');
}
