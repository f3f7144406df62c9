import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { placesFrom } from '../../config/paths.js';
import { Interruption } from '../../launcher/interruption.js';
import { unlessAborted } from '../../runtime/deadline.js';
import { askedOf, MOST_SEED, parsedFlags, timeOf, wholeOf } from '../flags.js';
import { attack, Callers } from './attackers.js';
import { Campaign } from './campaign.js';
import type { Case } from './findings.js';
import { FuzzedDataCenter } from './fuzzed-data-center.js';
import { fuzzGossip, gossipText } from './gossip/gossip-fuzz.js';
import { asText } from './report.js';
import { subjectsOf } from './subjects.js';

const ROUND_MS = 60_000;
const REST_MS = 15_000;
const ATTACK_MS = 1500;
const CALLERS = 24;
const WANTED_CONNECTIONS = 10_000;
const USUAL_LIMIT = 1024;
/** Descriptors that this process needs for other things. */
const OTHER_DESCRIPTORS = 500;

const HELP = `Hostile callers on a data center of its own, or on a cluster of gossip.

  npm run fuzz -- [flags]

  --for T            how long (default 10m)
  --seed S           the same cases for the same seed
  --connections N    idle connections at a time (default ${String(WANTED_CONNECTIONS)})
  --gossip           hostile packets and connections on members of gossip instead
  --replay FILE      does the first case of a finding again
  --json             one object instead of the report`;

const asked = askedOf(HELP, (argv) => {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const options = { for: text, seed: text, connections: text, replay: text } as const;
  const { values } = parsedFlags(argv, { ...options, json: flag, gossip: flag });
  return {
    ...{ json: values.json, replay: values.replay, gossip: values.gossip },
    forMs: timeOf('--for', values.for ?? '10m'),
    seed: wholeOf('--seed', values.seed, [0, MOST_SEED], Date.now() % 2 ** 32),
    connections: wholeOf(
      '--connections',
      values.connections,
      [0, 10 * WANTED_CONNECTIONS],
      WANTED_CONNECTIONS,
    ),
  };
});
const out = path.join(placesFrom().statePath, 'fuzz');
const interruption = new Interruption();
interruption.listen();
process.exitCode = await (asked.gossip && asked.replay === undefined ? gossip() : fuzzOrReplay());
if (interruption.by !== undefined) process.exit();

/** Ctrl-C ends it in order: nothing of the data center stays. */
async function fuzzOrReplay(): Promise<number> {
  interruption.handle();
  interruption.signal.addEventListener(
    'abort',
    () => {
      console.error('stopping the data center; its folder goes with it');
    },
    { once: true },
  );
  try {
    return await (asked.replay === undefined ? fuzz() : replay(asked.replay));
  } catch (error) {
    if (interruption.by === undefined) throw error;
    console.error('stopped before the end: there is no report');
    return interruption.by === 'SIGINT' ? 130 : 1;
  }
}

/** Members of gossip instead of a data center. */
async function gossip(): Promise<number> {
  const { seed, forMs, json } = asked;
  console.error(`seed ${String(seed)}`);
  const reports = await fuzzGossip(seed, forMs);
  console.log(json ? JSON.stringify(reports) : gossipText(reports));
  return reports.every(({ findings }) => findings.length === 0) ? 0 : 1;
}

async function fuzz(): Promise<number> {
  const { forMs, seed } = asked;
  const connections = Math.min(asked.connections, fileLimit() - OTHER_DESCRIPTORS);
  console.error(`seed ${String(seed)}`);
  const { signal } = interruption;
  await using center = await FuzzedDataCenter.start(undefined, signal);
  const campaign = new Campaign(center, {
    ...{ seed, forMs, rounds: Math.max(2, Math.round(forMs / ROUND_MS)), restMs: REST_MS },
    ...{ callers: CALLERS, attackMs: ATTACK_MS, connections },
    say: (line) => {
      console.error(line);
    },
  });
  const report = await unlessAborted(campaign.run(), signal);
  await mkdir(out, { recursive: true });
  await writeFile(path.join(out, 'report.json'), `${JSON.stringify(report)}\n`);
  for (const [number, finding] of report.findings.entries()) {
    const file = path.join(out, `finding-${String(number + 1)}.json`);
    await writeFile(file, `${JSON.stringify(finding, undefined, 2)}\n`);
    console.error(`${finding.fault}\n  ${file}`);
  }
  console.log(asked.json ? JSON.stringify(report) : asText(report));
  return report.findings.length === 0 ? 0 : 1;
}

/** Does the first case of a finding again, on a data center made for it. */
async function replay(file: string): Promise<number> {
  const { first } = JSON.parse(await readFile(file, 'utf8')) as { readonly first?: Case };
  if (!first) throw new Error(`${file} has no case: it was found by looking at all of them`);
  await using center = await FuzzedDataCenter.start(undefined, interruption.signal);
  const subjects = await subjectsOf(center);
  if (first.lane === 'attack') {
    console.log(JSON.stringify(await attack(first.seed, subjects, ATTACK_MS)));
  } else {
    using callers = new Callers(subjects, center.folders);
    const { what, outcome, fault } = await callers.call(first.seed);
    console.log(JSON.stringify({ ...what, code: outcome?.code, message: outcome?.message, fault }));
    if (fault !== undefined) {
      console.error((await center.errorsOf(what.target)).join('\n'));
      return 1;
    }
  }
  for (const trouble of center.troubles()) console.log(trouble);
  return center.troubles().length === 0 ? 0 : 1;
}

/** Raises what this process and those that it starts may open, where that is allowed; how much it is. */
function fileLimit(): number {
  const wanted = String(2 * WANTED_CONNECTIONS);
  const pid = String(process.pid);
  spawnSync('prlimit', ['--pid', pid, `--nofile=${wanted}:${wanted}`], { stdio: 'ignore' });
  const asked = spawnSync('prlimit', ['--pid', pid, '--nofile', '-o', 'SOFT', '--noheadings']);
  return Number(asked.stdout) || USUAL_LIMIT;
}
