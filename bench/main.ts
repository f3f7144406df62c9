import { measureChecks } from './checks.js';
import { measureCnnServing } from './cnn-serving.js';
import { measureCnnTraining } from './cnn-training.js';
import { measureCopy } from './copy.js';
import { measureDurable } from './durable.js';
import { measureFailover } from './failover.js';
import { askedOf, BadFlag, parsedFlags, wholeOf } from './flags.js';
import { measureGossipLive } from './gossip-live.js';
import { measureHops } from './hop.js';
import { measureImagePrediction } from './image-prediction.js';
import { measureKills } from './kills.js';
import { measureOverload } from './overload.js';
import { measureRevocation } from './revocation.js';
import { measureSoak } from './soak.js';
import { measureStartUp } from './start-up.js';
import { measureTax } from './tax.js';
import { measureTransfer } from './transfer.js';
import { asTable, writeTable } from './table.js';
import type { Finding } from './statistics.js';

/** Every measure by name: each returns its findings after so many rounds. */
const MEASURES: ReadonlyMap<string, (rounds: number) => Promise<Finding[]>> = new Map(
  Object.entries({
    hops: measureHops,
    'image-prediction': measureImagePrediction,
    'cnn-serving': measureCnnServing,
    transfer: measureTransfer,
    tax: measureTax,
    copy: measureCopy,
    'cnn-training': measureCnnTraining,
    overload: measureOverload,
    revocation: measureRevocation,
    checks: measureChecks,
    durable: measureDurable,
    failover: measureFailover,
    'gossip-live': measureGossipLive,
    kills: measureKills,
    'start-up': measureStartUp,
    soak: measureSoak,
  }),
);

const LEAST_ROUNDS = 5;
const MOST_ROUNDS = 1000;
const HELP = `Measures what Fractory costs, as ratios: bench/README.md tells of each.

  npm run bench -- [flags] [measures]

  --rounds N   rounds of each (default ${String(LEAST_ROUNDS)}, no fewer)
  --json       one object a line instead of the table
  --write      also puts the table into bench/README.md

Measures, default all: ${[...MEASURES.keys()].join(', ')}`;

const { values, rounds, chosen } = askedOf(HELP, (argv) => {
  const flag = { type: 'boolean', default: false } as const;
  const options = { json: flag, write: flag, rounds: { type: 'string' } } as const;
  const { values: given, positionals: names } = parsedFlags(argv, options, true);
  return {
    values: given,
    rounds: wholeOf('--rounds', given.rounds, [LEAST_ROUNDS, MOST_ROUNDS], LEAST_ROUNDS),
    chosen: (names.length > 0 ? names : [...MEASURES.keys()]).map(measureOf),
  };
});

function measureOf(name: string) {
  const measure = MEASURES.get(name);
  if (!measure)
    throw new BadFlag(`no measure ${name}; there are ${[...MEASURES.keys()].join(', ')}`);
  return { name, measure };
}

const all: Finding[] = [];
for (const { name, measure } of chosen) {
  console.error(`measuring ${name}, ${String(rounds)} rounds`);
  for (const found of await measure(rounds)) {
    all.push(found);
    if (values.json) console.log(JSON.stringify(found));
  }
}
if (!values.json) console.log(asTable(all));
if (values.write) await writeTable(asTable(all));
