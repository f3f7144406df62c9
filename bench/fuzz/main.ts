import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { projectRoot } from '../../config/paths.js';
import { parseDuration } from '../../launcher/chaos/duration.js';
import { attack, Callers } from './attackers.js';
import { Campaign } from './campaign.js';
import type { Case } from './findings.js';
import { FuzzedDataCenter } from './fuzzed-data-center.js';
import { fuzzGossip, gossipText } from './gossip/gossip-fuzz.js';
import { asText } from './report.js';
import { subjectsOf } from './subjects.js';

const TEN_MINUTES_MS = 600_000;
const ROUND_MS = 60_000;
const REST_MS = 15_000;
const ATTACK_MS = 1500;
const CALLERS = 24;
const WANTED_CONNECTIONS = 10_000;
const USUAL_LIMIT = 1024;
/** Descriptors that this process needs for other things. */
const OTHER_DESCRIPTORS = 500;

const { values } = parseArgs({
  options: {
    for: { type: 'string', default: '10m' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
    json: { type: 'boolean', default: false },
    replay: { type: 'string' },
    gossip: { type: 'boolean', default: false },
    connections: { type: 'string', default: String(WANTED_CONNECTIONS) },
  },
});
const out = path.join(
  path.resolve(projectRoot, process.env['FRACTORY_STATE'] ?? '.fractory'),
  'fuzz',
);
process.exitCode = await (values.replay !== undefined
  ? replay(values.replay)
  : values.gossip
    ? gossip()
    : fuzz());

/** Members of gossip instead of a data center. */
async function gossip(): Promise<number> {
  const seed = Number(values.seed);
  console.error(`seed ${String(seed)}`);
  const reports = await fuzzGossip(seed, parseDuration(values.for) ?? TEN_MINUTES_MS);
  console.log(values.json ? JSON.stringify(reports) : gossipText(reports));
  return reports.every(({ findings }) => findings.length === 0) ? 0 : 1;
}

async function fuzz(): Promise<number> {
  const forMs = parseDuration(values.for) ?? TEN_MINUTES_MS;
  const seed = Number(values.seed);
  const connections = Math.min(Number(values.connections), fileLimit() - OTHER_DESCRIPTORS);
  console.error(`seed ${String(seed)}`);
  await using center = await FuzzedDataCenter.start();
  const campaign = new Campaign(center, {
    ...{ seed, forMs, rounds: Math.max(2, Math.round(forMs / ROUND_MS)), restMs: REST_MS },
    ...{ callers: CALLERS, attackMs: ATTACK_MS, connections },
    say: (line) => {
      console.error(line);
    },
  });
  const report = await campaign.run();
  await mkdir(out, { recursive: true });
  await writeFile(path.join(out, 'report.json'), `${JSON.stringify(report)}\n`);
  for (const [number, finding] of report.findings.entries()) {
    const file = path.join(out, `finding-${String(number + 1)}.json`);
    await writeFile(file, `${JSON.stringify(finding, undefined, 2)}\n`);
    console.error(`${finding.fault}\n  ${file}`);
  }
  console.log(values.json ? JSON.stringify(report) : asText(report));
  return report.findings.length === 0 ? 0 : 1;
}

/** Does the first case of a finding again, on a data center made for it. */
async function replay(file: string): Promise<number> {
  const { first } = JSON.parse(await readFile(file, 'utf8')) as { readonly first?: Case };
  if (!first) throw new Error(`${file} has no case: it was found by looking at all of them`);
  await using center = await FuzzedDataCenter.start();
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
