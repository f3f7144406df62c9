import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { InferenceSession } from 'onnxruntime-node';

import { appendOutput } from '../onnx/embedding-output.js';
import { toOrt } from '../tensors/ort.js';
import type { SessionSource } from './messages.js';

/** Longest model that can be one file: the format's own limit. */
const MAX_FILE_BYTES = 2 * 1024 ** 3 - 1;

/** A session, and how large the file was. */
export interface LoadedSession {
  readonly session: InferenceSession;
  readonly fileBytes: number;
}

/**
 * Loads a model: the bytes that are loaded are the bytes that were hashed. Throws Errors of one line that say what is wrong with it.
 */
export async function loadSession(source: SessionSource): Promise<LoadedSession> {
  const bytes = await readModel(source.file);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== source.sha256)
    throw new Error(`model.onnx has the SHA-256 ${sha256}, expected was ${source.sha256}`);
  const { extraOutput } = source;
  const session = await createSession(
    extraOutput === undefined ? bytes : appendOutput(bytes, extraOutput),
    source.threads,
  );
  try {
    checkOutputs(session, source);
    if (source.example.length > 0) await runOnce(session, source);
    return { session, fileBytes: bytes.length };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function readModel(file: string): Promise<Uint8Array> {
  const { size } = await stat(file);
  if (size > MAX_FILE_BYTES)
    throw new Error(
      `model.onnx has ${String(size)} bytes, the format allows ${String(MAX_FILE_BYTES)}; use smaller weights, such as FP16`,
    );
  return readFile(file);
}

function createSession(bytes: Uint8Array, threads: number): Promise<InferenceSession> {
  return InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // Warnings of old models are no news; errors are thrown, too.
    logSeverityLevel: 4,
    // The arena would keep the peak of every model.
    enableCpuMemArena: false,
    // Threads that wait for work must not take the core from those that have some.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
}

function checkOutputs(session: InferenceSession, { inputs, outputs }: SessionSource): void {
  const input = inputs.find(({ name }) => !session.inputNames.includes(name));
  if (input) throw new Error(`it has no input ${input.name}, but ${session.inputNames.join(', ')}`);
  const output = outputs.find((name) => !session.outputNames.includes(name));
  if (output !== undefined)
    throw new Error(`it has no output ${output}, but ${session.outputNames.join(', ')}`);
}

/** The first run makes what later ones use; an operator that doesn't work shows here. */
async function runOnce(session: InferenceSession, source: SessionSource): Promise<void> {
  const feeds = Object.fromEntries(source.example.map((tensor) => [tensor.name, toOrt(tensor)]));
  try {
    await session.run(feeds);
  } catch (error) {
    // Zeros may be no input that this model can make sense of.
    if (source.exampleMustRun) throw error;
  }
}
