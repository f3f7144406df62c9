import { parentPort } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import { toFailure } from '../../../runtime/worker-tasks.js';
import { PixelWriter } from '../pictures/tensor.js';
import type { PixelInput } from '../serving.js';
import { BatchRunner } from './batch-run.js';
import { compareBatch, measure } from './measuring.js';
import type { RunReply, SessionSource, TaskReplies, WorkerTask } from './messages.js';
import { loadSession } from './session.js';
import type { LoadedSession } from './session.js';

// The native half of ONNX Runtime doesn't know Float16Array. Where the engine has none, as in Node.js 20, the JavaScript half hands over the bits.
Reflect.deleteProperty(globalThis, 'Float16Array');

/** Outputs from this size on move to the other thread, smaller ones are copied: cheaper for them. */
const MOVED_BYTES = 16 * 1024;

interface Held extends LoadedSession {
  readonly runner: BatchRunner;
  readonly source: SessionSource;
}

const models = new Map<string, Held>();
const inputs = new Map<number, { input: PixelInput; writer: PixelWriter }>();

function heldOf(model: string): Held {
  const held = models.get(model);
  if (!held) throw new Error(`model ${model} is not loaded in this worker`);
  return held;
}

async function load(model: string, source: SessionSource): Promise<TaskReplies['load']> {
  const startedAt = performance.now();
  const before = process.memoryUsage.rss();
  const loaded = await loadSession(source);
  const runner = new BatchRunner(loaded.session, inputs, source.maxOutputBytes);
  models.set(model, { ...loaded, source, runner });
  const { fileBytes } = loaded;
  const residentBytes = Math.max(0, process.memoryUsage.rss() - before);
  return { loadMs: performance.now() - startedAt, fileBytes, residentBytes };
}

async function unload(model: string): Promise<undefined> {
  const held = models.get(model);
  models.delete(model);
  await held?.session.release();
}

async function perform(task: WorkerTask): Promise<TaskReplies[WorkerTask['kind']]> {
  switch (task.kind) {
    case 'load':
      return load(task.model, task.source);
    case 'unload':
      return unload(task.model);
    case 'run':
      for (const [number, input] of task.newInputs)
        inputs.set(number, { input, writer: new PixelWriter(input) });
      return heldOf(task.model).runner.run(task.requests, task.outputs);
    case 'measure': {
      const { session, source } = heldOf(task.model);
      return measure(session, source.example, task.measurement, task.stop);
    }
    case 'end':
      return process.exit(0);
    case 'compare': {
      const { session, source } = heldOf(task.model);
      return compareBatch(session, source, task.batch);
    }
  }
}

function movable(reply: RunReply): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = [];
  for (const outcome of reply.outcomes)
    if ('outputs' in outcome)
      for (const { data } of outcome.outputs)
        if (data.length >= MOVED_BYTES) buffers.push(data.buffer as ArrayBuffer);
  return buffers;
}

async function answer(port: MessagePort, task: WorkerTask): Promise<void> {
  try {
    const reply = await perform(task);
    port.postMessage({ reply }, task.kind === 'run' ? movable(reply as RunReply) : []);
  } catch (error) {
    port.postMessage({ failure: toFailure(error) });
  }
}

if (!parentPort) throw new Error('this is the script of a worker thread');
const port = parentPort;
let last = Promise.resolve();
port.on('message', (task: WorkerTask) => {
  // Messages are read between runs only, so no native code is on the way.
  if (task.kind === 'end') process.exit(0);
  last = last.then(() => answer(port, task));
});
port.postMessage({ ready: true });
