import { Worker } from 'node:worker_threads';

import { disableTelemetry } from '../services/cnn/telemetry.js';
import type { BareResult, BareSetup, BareTask } from './cnn-bare.js';
import { median } from './statistics.js';

/** What one worker thread reports. */
export interface BareShare {
  readonly requests: number;
  readonly elapsedMs: number;
  readonly timesMs: readonly number[];
}

disableTelemetry();
let workers: readonly Worker[] = [];

function ask(worker: Worker, message: BareSetup | BareTask): Promise<BareShare> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (share: BareShare) => {
      worker.off('error', reject);
      resolve(share);
    });
    worker.postMessage(message);
  });
}

async function answer(message: BareSetup | BareTask): Promise<BareResult | { ready: true }> {
  if ('file' in message) {
    const script = new URL('./cnn-bare-worker.js', import.meta.url);
    workers = Array.from({ length: message.workers }, () => new Worker(script));
    await Promise.all(workers.map((worker) => ask(worker, message)));
    return { ready: true };
  }
  const busy = message.lone ? workers.slice(0, 1) : workers;
  const shares = await Promise.all(busy.map((worker) => ask(worker, message)));
  return {
    perSecond: shares.reduce((sum, one) => sum + (one.requests * 1000) / one.elapsedMs, 0),
    p50Ms: median(shares.flatMap(({ timesMs }) => timesMs)),
  };
}

process.on('message', (message: BareSetup | BareTask) => {
  void answer(message).then((result) => process.send?.(result));
});
process.on('disconnect', () => {
  process.exit(0);
});
