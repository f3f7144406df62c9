import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { credentials } from '@grpc/grpc-js';
import sharp from 'sharp';

import { paintShape, SHAPES } from '../applications/sdk/painter.js';
import { seededRandom } from '../runtime/seeded-random.js';
import { CnnServiceClient, PredictRequest } from '../protos/gen/fractory/v1/cnn.js';
import type { Arrangement, ListModelsResponse } from '../protos/gen/fractory/v1/cnn.js';
import { parseCard } from '../services/cnn/card.js';
import type { Card } from '../services/cnn/card.js';
import { DEFAULT_CNN_LIMITS } from '../services/cnn/limits.js';
import { decodePicture } from '../services/cnn/pictures/picture.js';
import { BareLoop } from './cnn-bare.js';
import { Callers, framed } from './cnn-load.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const MODEL = 'cats-vs-dogs';
const METHOD = 'fractory.v1.CnnService/Predict';
const CALLERS = 64;
const CONNECTIONS = 4;
const ARM_MS = 2500;
const LONE_CALLS = 150;
/** Longest time until the node has measured its model, ms. */
const TUNED_MS = 40_000;
/** The event loop's delay is sampled by a timer of this period, which is part of what it tells. */
const SAMPLED_EVERY_MS = 10;
const ADDED_MS = 1.5;
const LONGEST_DELAY_MS = 20;

interface Requests {
  readonly decoded: Uint8Array;
  readonly encoded: Uint8Array;
}

interface Served {
  readonly card: Card;
  readonly file: string;
  readonly picture: Uint8Array;
  readonly requests: Requests;
}

/** A CNN node under load against what its hardware can do without it. */
export async function measureCnnServing(rounds: number): Promise<Finding[]> {
  const served = await prepare();
  return [...(await oneMember(served, rounds)), await twoMembers(served, rounds)];
}

async function oneMember(served: Served, rounds: number): Promise<Finding[]> {
  await using center = await SmallDataCenter.start({ 'cnn-1': 'cnn' });
  const { address, metricsAddress } = center.member('cnn-1');
  const arrangement = await tunedArrangement(address);
  console.error(`${MODEL}: ${arrangement.reason}`);
  const { card, file, picture, requests } = served;
  await using bare = await BareLoop.start({
    ...{ file, input: card.input, output: card.output.name, picture },
    ...{ workers: arrangement.workers, threads: arrangement.threads, batch: arrangement.maxBatch },
  });
  using callers = new Callers([address], METHOD, CONNECTIONS);
  const found = {
    ...{ decoded: [] as number[], bareDecoded: [] as number[] },
    ...{ encoded: [] as number[], bareEncoded: [] as number[] },
    ...{ lone: [] as number[], bareLone: [] as number[] },
    ...{ delayMs: [] as number[], callerUs: [] as number[] },
  };
  for (let round = 0; round <= rounds; round++) {
    const bareDecoded = await bare.measure({ arm: 'decoded', durationMs: ARM_MS, lone: false });
    await loopDelayMs(metricsAddress);
    const before = process.cpuUsage();
    const decoded = await callers.ratePerSecond(requests.decoded, CALLERS, ARM_MS);
    const { user, system } = process.cpuUsage(before);
    const delayMs = await loopDelayMs(metricsAddress);
    const bareEncoded = await bare.measure({ arm: 'encoded', durationMs: ARM_MS, lone: false });
    const encoded = await callers.ratePerSecond(requests.encoded, CALLERS, ARM_MS);
    const bareLone = await bare.measure({ arm: 'decoded', durationMs: ARM_MS / 4, lone: true });
    const lone = await loneP50Ms(callers, requests.decoded);
    // The first round warms all arms up.
    if (round === 0) continue;
    found.decoded.push(decoded);
    found.bareDecoded.push(bareDecoded.perSecond);
    found.encoded.push(encoded);
    found.bareEncoded.push(bareEncoded.perSecond);
    found.lone.push(lone);
    found.bareLone.push(bareLone.p50Ms);
    found.delayMs.push(delayMs);
    found.callerUs.push((user + system) / (decoded * (ARM_MS / 1000)));
  }
  const { workers, threads, maxBatch } = arrangement;
  return [
    finding(
      'cnn_predict_pixels_vs_bare_runs',
      ['Predict a second, 64 callers, decoded input', 'bare session.run a second'],
      ratios(found.decoded, found.bareDecoded),
      {
        ...{ predictPerSecond: median(found.decoded), barePerSecond: median(found.bareDecoded) },
        ...{ workers, threads, maxBatch, callerCpuUsEach: median(found.callerUs) },
      },
      { least: 0.85 },
    ),
    finding(
      'cnn_predict_jpeg_vs_bare_decode_and_run',
      ['Predict a second, 64 callers, JPEG', 'bare decode + session.run a second'],
      ratios(found.encoded, found.bareEncoded),
      {
        ...{ predictPerSecond: median(found.encoded), barePerSecond: median(found.bareEncoded) },
        pictureBytes: served.picture.length,
      },
      { least: 0.75 },
    ),
    finding(
      'cnn_lone_request_added_vs_1_5_ms',
      ['p50 of one Predict - p50 of a bare session.run', '1.5 ms'],
      found.lone.map((ms, at) => (ms - (found.bareLone[at] ?? Number.NaN)) / ADDED_MS),
      { predictP50Ms: median(found.lone), bareP50Ms: median(found.bareLone) },
      { most: 1 },
    ),
    finding(
      'cnn_event_loop_delay_vs_20_ms',
      ["p99 of the node's event-loop delay, 64 callers", '20 ms'],
      found.delayMs.map((ms) => ms / LONGEST_DELAY_MS),
      { delayP99Ms: median(found.delayMs), sampledEveryMs: SAMPLED_EVERY_MS },
      { most: 1 },
    ),
  ];
}

/** Two members with one thread for inference each, against one of them. */
async function twoMembers({ requests }: Served, rounds: number): Promise<Finding> {
  const members = { 'cnn-1': 'cnn', 'cnn-2': 'cnn' };
  await using center = await SmallDataCenter.start(members, { cnn: ['workers = 1', 'tune = off'] });
  const addresses = Object.keys(members).map((name) => center.member(name).address);
  using one = new Callers(addresses.slice(0, 1), METHOD, CONNECTIONS);
  using both = new Callers(addresses, METHOD, CONNECTIONS);
  const rates = { one: [] as number[], both: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const alone = await one.ratePerSecond(requests.decoded, CALLERS, ARM_MS);
    const together = await both.ratePerSecond(requests.decoded, CALLERS, ARM_MS);
    if (round === 0) continue;
    rates.one.push(alone);
    rates.both.push(together);
  }
  return finding(
    'cnn_two_members_vs_one',
    ['Predict a second of two members with one thread each', 'of one of them'],
    ratios(rates.both, rates.one),
    {
      ...{ twoPerSecond: median(rates.both), onePerSecond: median(rates.one) },
      cores: availableParallelism(),
    },
  );
}

async function prepare(): Promise<Served> {
  const folder = path.join(root, 'services', 'cnn', 'models', MODEL);
  const version = '1';
  const card = parseCard(await readFile(path.join(folder, version, 'model.json'), 'utf8'));
  if ('problem' in card) throw new Error(card.problem);
  const { width, height } = card.input;
  const painted = await paintShape(SHAPES[0], seededRandom(1), Math.max(width, height));
  const picture = await sharp(painted).resize(width, height).jpeg({ quality: 90 }).toBuffer();
  const { data: rgb } = await decodePicture(picture, card.input, DEFAULT_CNN_LIMITS);
  const about = { model: MODEL, version: card.version, topK: 0 };
  const encode = (source: PredictRequest['source']): Uint8Array =>
    framed(PredictRequest.encode({ source, ...about }).finish());
  return {
    ...{ card, picture, file: path.join(folder, version, 'model.onnx') },
    requests: {
      decoded: encode({ $case: 'pixels', value: { width, height, rgb } }),
      encoded: encode({ $case: 'image', value: picture }),
    },
  };
}

/** How the node runs the model once it has measured it, or what it does until then. */
async function tunedArrangement(address: string): Promise<Arrangement> {
  const client = new CnnServiceClient(address, credentials.createInsecure());
  const until = performance.now() + TUNED_MS;
  try {
    for (;;) {
      const arrangement = arrangementOf(await list(client));
      if (arrangement?.reason.startsWith('measured') === true) return arrangement;
      if (performance.now() > until) {
        if (arrangement) return arrangement;
        throw new Error(`model ${MODEL} is not loaded`);
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  } finally {
    client.close();
  }
}

function list(client: CnnServiceClient): Promise<ListModelsResponse> {
  return new Promise((resolve, reject) => {
    client.listModels({}, (error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
}

function arrangementOf({ models }: ListModelsResponse): Arrangement | undefined {
  return models.find(({ name, loaded }) => name === MODEL && loaded)?.arrangement;
}

async function loneP50Ms(callers: Callers, request: Uint8Array): Promise<number> {
  const samples: number[] = [];
  for (let call = 0; call < LONE_CALLS; call++) {
    const startedAt = performance.now();
    await callers.call(request);
    samples.push(performance.now() - startedAt);
  }
  return median(samples);
}

/** 99th percentile since it was asked last. */
async function loopDelayMs(metricsAddress: string): Promise<number> {
  const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  const line = /^fractory_nodejs_eventloop_lag_p99_seconds\{.*\} (\S+)$/m.exec(text);
  if (!line) throw new Error('the node shows no event-loop delay');
  return Number(line[1]) * 1000;
}

function ratios(top: readonly number[], bottom: readonly number[]): number[] {
  return top.map((value, at) => value / (bottom[at] ?? Number.NaN));
}
