import { status } from '@grpc/grpc-js';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError, messageOf, systemCodeOf } from '../../../../runtime/errors.js';
import type { EngineState, NetworkSpec } from '../engine/engine.js';
import { diskFailure, writeDurably } from '../durable-file.js';
import type { EpochRecord } from './epoch-record.js';
import type { Evaluation } from './evaluation.js';
import type { TrainingPlan } from './schedule.js';

/** What a training was started with: has to be the same when it goes on. */
export interface CheckpointSettings {
  readonly epochs: number;
  readonly size: number;
  readonly sampleLimit: number;
  /** Decimal. */
  readonly seed: string;
  /** `small` or `standard`. */
  readonly network: string;
  readonly summary: string;
  readonly license?: string;
  readonly origin?: string;
  /** Where the data come from, in the form of the request; see `training-request.ts`. */
  readonly data: Readonly<Record<string, string>>;
}

/** Everything of an interrupted training that fits into JSON. */
export interface CheckpointHead {
  readonly settings: CheckpointSettings;
  readonly dataHash: string;
  readonly network: NetworkSpec;
  /** Its seed stands in the settings. */
  readonly plan: Omit<TrainingPlan, 'seed'> & { readonly seed?: undefined };
  readonly done: readonly EpochRecord[];
  /** How the best weights do on the validation pictures; absent before the first epoch has ended. */
  readonly best?: { readonly epoch: number; readonly evaluation: Evaluation };
}

export interface Checkpoint {
  readonly head: CheckpointHead;
  readonly state: EngineState;
  /** The best network as ONNX; empty before the first epoch has ended. */
  readonly bestModel: Uint8Array;
}

const MAGIC = Buffer.from('fractory training 1\n');
const LENGTH_BYTES = 8;
const HASH_BYTES = 32;
/** Those of the house take about 10 MB. */
const MAX_BYTES = 1024 ** 3;

interface Index {
  readonly head: CheckpointHead;
  readonly bestBytes: number;
  readonly tensors: readonly (readonly [name: string, length: number])[];
}

/**
 * Replaces the checkpoint of a training as a whole: after a crash there is the old one or the new one. Where that fails, such as for want of
 * room (DISK_FULL), the old one stays.
 */
export async function writeCheckpoint(file: string, checkpoint: Checkpoint): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw diskFailure(error, folder);
  });
  await writeDurably(file, encode(checkpoint));
}

/** The checkpoint; undefined if there is none. CHECKPOINT_CORRUPT where it isn't what was written. */
export async function readCheckpoint(file: string): Promise<Checkpoint | undefined> {
  let bytes: Buffer;
  try {
    const found = await stat(file);
    if (!found.isFile()) throw corrupt(file, 'is no file');
    if (found.size > MAX_BYTES) throw corrupt(file, `has ${String(found.size)} bytes`);
    bytes = await readFile(file);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    if (systemCodeOf(error) === undefined) throw error;
    throw corrupt(file, `can't be read (${messageOf(error)})`);
  }
  return decode(bytes, file);
}

export async function removeCheckpoint(file: string): Promise<void> {
  await rm(file, { force: true });
}

function encode({ head, state, bestModel }: Checkpoint): Buffer[] {
  const tensors = [...state].map(([name, values]) => [name, values.length] as const);
  const index: Index = { head, bestBytes: bestModel.length, tensors };
  const text = Buffer.from(JSON.stringify(index));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(text.length));
  const parts: Buffer[] = [MAGIC, length, text, Buffer.from(bestModel)];
  for (const values of state.values())
    parts.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return [...parts, hash.digest()];
}

function decode(bytes: Buffer, file: string): Checkpoint {
  const body = bytes.subarray(0, Math.max(0, bytes.length - HASH_BYTES));
  const hash = createHash('sha256').update(body).digest();
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw corrupt(file, 'is of another kind');
  if (!hash.equals(bytes.subarray(body.length)))
    throw corrupt(file, 'has another hash than when it was written');
  let at = MAGIC.length;
  const take = (length: number): Buffer => {
    if (!Number.isSafeInteger(length) || length < 0 || length > body.length - at)
      throw corrupt(file, 'is shorter than it says');
    return body.subarray(at, (at += length));
  };
  const text = take(Number(take(LENGTH_BYTES).readBigUInt64LE()));
  const { head, bestBytes, tensors } = indexIn(text, file);
  const bestModel = new Uint8Array(take(bestBytes));
  const state = new Map(
    tensors.map(([name, length]) => {
      const bytesOfTensor = take(length * Float32Array.BYTES_PER_ELEMENT);
      const values = new Float32Array(length);
      new Uint8Array(values.buffer).set(bytesOfTensor);
      return [name, values] as const;
    }),
  );
  return { head, state, bestModel };
}

function indexIn(text: Buffer, file: string): Index {
  try {
    const index = JSON.parse(text.toString()) as Index;
    if (Array.isArray(index.tensors) && Array.isArray(index.head.done)) return index;
  } catch {
    // It says the same as what follows.
  }
  throw corrupt(file, 'has no head');
}

function corrupt(file: string, problem: string): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'CHECKPOINT_CORRUPT',
    `the checkpoint ${file} ${problem}; train without resume`,
  );
}
