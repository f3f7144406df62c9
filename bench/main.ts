import { parseArgs } from 'node:util';

import { measureChecks } from './checks.js';
import { measureCnnServing } from './cnn-serving.js';
import { measureCnnTraining } from './cnn-training.js';
import { measureCopy } from './copy.js';
import { measureDurable } from './durable.js';
import { measureFailover } from './failover.js';
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
const MEASURES: Readonly<Record<string, (rounds: number) => Promise<Finding[]>>> = {
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
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Math.max(5, Number(values.rounds));
const chosen = positionals.length > 0 ? positionals : Object.keys(MEASURES);
const all: Finding[] = [];
for (const name of chosen) {
  const measure = MEASURES[name];
  if (!measure)
    throw new Error(`no measure ${name}; there are ${Object.keys(MEASURES).join(', ')}`);
  console.error(`measuring ${name}, ${String(rounds)} rounds`);
  for (const found of await measure(rounds)) {
    all.push(found);
    if (values.json) console.log(JSON.stringify(found));
  }
}
if (!values.json) console.log(asTable(all));
if (values.write) await writeTable(asTable(all));
