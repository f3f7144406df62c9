import { parentPort, workerData } from 'node:worker_threads';

import { PixelStore } from '../data/pixel-store.js';
import { randomOf } from '../random.js';
import type { AugmentData, AugmentReply, AugmentTask } from './messages.js';
import { drawView, ViewMaker } from './view.js';

const { pixels, slots, seed } = workerData as AugmentData;
const store = new PixelStore(pixels);
let maker: { readonly size: number; readonly views: ViewMaker } | undefined;

function fill({ epoch, size, gentle, pictures, buffer }: AugmentTask): void {
  if (maker?.size !== size) maker = { size, views: new ViewMaker(store.sidePx, size) };
  const out = new Float32Array(buffer);
  const { views } = maker;
  pictures.forEach((picture, at) => {
    const plan = drawView(randomOf(seed, epoch, picture), gentle);
    views.make(store.picture(slots[picture] ?? 0), plan, out, at * 3 * size * size);
  });
}

parentPort?.on('message', (task: AugmentTask) => {
  fill(task);
  parentPort?.postMessage({ buffer: task.buffer } satisfies AugmentReply, [task.buffer]);
});
