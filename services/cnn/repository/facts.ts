import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

import { messageOf } from '../../../runtime/errors.js';
import { parseCard } from '../card.js';
import type { Card } from '../card.js';
import { findEmbedding, innerTensors } from '../onnx/embedding-output.js';
import { MAX_FILE_BYTES, readOnnxHead, tooLongFile } from '../onnx/signature.js';
import type { OnnxHead } from '../onnx/signature.js';
import type { ModelSignature } from '../serving.js';
import type { TensorSpec } from '../tensors/tensor.js';
import { isMissing, stampOf } from './scan.js';
import type { FoundVersion } from './scan.js';

const MAX_CARD_BYTES = 8 * 1024 ** 2;

/** What the files of a version are, as they were at one moment. */
export interface VersionFacts {
  readonly found: FoundVersion;
  /** Undefined for a model of tensors only, and where the card can't be read. */
  readonly card: Card | undefined;
  /** Of `model.onnx`, hex; empty where it was not read. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly signature: ModelSignature | undefined;
  /** The tensor that `embed` yields. */
  readonly embedding: string | undefined;
  /** Why it can't be served; undefined = it can. */
  readonly problem: string | undefined;
  /** The problem is the memory limit. */
  readonly isTooLarge: boolean;
}

/**
 * Reads the card, hashes the model and reads its head. What changes meanwhile is a problem, until the next look at it. A model that is larger than
 * `maxBytes` is not read.
 */
export async function readFacts(found: FoundVersion, maxBytes: number): Promise<VersionFacts> {
  const nothing = { found, card: undefined, sha256: '', sizeBytes: 0 };
  const blank: VersionFacts = {
    ...{ ...nothing, signature: undefined, embedding: undefined, problem: undefined },
    isTooLarge: false,
  };
  try {
    const facts = await readWhole(found, maxBytes, blank);
    const isSteady = (await stampOf(found)) === found.stamp;
    return isSteady ? facts : { ...facts, problem: 'its files are being written' };
  } catch (error) {
    return { ...blank, problem: isMissing(error) ? 'model.onnx is missing' : messageOf(error) };
  }
}

async function readWhole(
  found: FoundVersion,
  maxBytes: number,
  blank: VersionFacts,
): Promise<VersionFacts> {
  const card = await readCard(found);
  if (card && 'problem' in card) return { ...blank, problem: card.problem };
  const sizeBytes = await sizeOf(found.file);
  const known = { ...blank, card, sizeBytes };
  if (sizeBytes > MAX_FILE_BYTES) return { ...known, problem: tooLongFile(sizeBytes) };
  if (sizeBytes > maxBytes)
    return {
      ...{ ...known, isTooLarge: true },
      problem: `model.onnx has ${String(sizeBytes)} bytes, the limit max_models_bytes is ${String(maxBytes)}`,
    };
  // The head first: a file that is none need not be hashed.
  const head = await readOnnxHead(found.file);
  const sha256 = 'problem' in head && card === undefined ? '' : await hashOf(found.file);
  if (card && sha256 !== card.sha256)
    return {
      ...{ ...known, sha256 },
      problem: `model.onnx has the SHA-256 ${sha256}, its card says ${card.sha256}`,
    };
  if ('problem' in head) return { ...known, sha256, problem: head.problem };
  const { signature } = head;
  return {
    ...{ ...known, sha256, signature },
    embedding: card && embeddingOf(card, head),
    problem: card && contradiction(card, head),
  };
}

/** Undefined where there is none. */
async function readCard({
  name,
  version,
  cardFile,
}: FoundVersion): Promise<Card | { problem: string } | undefined> {
  try {
    const size = await sizeOf(cardFile);
    if (size > MAX_CARD_BYTES)
      return {
        problem: `model.json has ${String(size)} bytes, a card ends at ${String(MAX_CARD_BYTES)}`,
      };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const card = parseCard(await readFile(cardFile, 'utf8'));
  if ('problem' in card || (card.name === name && card.version === version)) return card;
  return { problem: `model.json is about ${card.name} version ${String(card.version)}` };
}

function embeddingOf(card: Card, head: OnnxHead): string | undefined {
  return card.embedding?.output ?? findEmbedding(head, card.output.name);
}

/** What the card says that the model doesn't. */
function contradiction(card: Card, head: OnnxHead): string | undefined {
  const { inputs, outputs } = head.signature;
  const namesOf = (specs: readonly TensorSpec[]): string =>
    specs.map(({ name }) => name).join(', ');
  const input = inputs.find(({ name }) => name === card.input.name);
  if (!input)
    return `its card names the input ${card.input.name}, model.onnx has ${namesOf(inputs)}`;
  const output = outputs.find(({ name }) => name === card.output.name);
  if (!output)
    return `its card names the output ${card.output.name}, model.onnx has ${namesOf(outputs)}`;
  for (const { name, datatype } of [input, output])
    if (datatype !== 'FP32')
      return `${name} of model.onnx is ${datatype}, models of pictures take and yield FP32`;
  if (inputs.length > 1)
    return `model.onnx has the inputs ${namesOf(inputs)}, models of pictures have one`;
  return (
    wrongSize(card, input) ?? wrongLabels(card, output) ?? wrongEmbedding(card.embedding, head)
  );
}

function wrongSize({ input }: Card, { shape, anyRank }: TensorSpec): string | undefined {
  const { layout, width, height, channels } = input;
  const sizes = layout === 'NCHW' ? [channels, height, width] : [height, width, channels];
  const fits =
    anyRank === true ||
    (shape.length === 4 && sizes.every((size, at) => [size, -1].includes(shape[at + 1] ?? 0)));
  if (fits) return undefined;
  return `its card asks for ${layout} of [1,${sizes.join(',')}], the input ${input.name} is [${shape.join(',')}]`;
}

/** Numbers of the output but for the batch, where all are known. */
function wrongLabels({ labels }: Card, { name, shape, anyRank }: TensorSpec): string | undefined {
  const [, ...sizes] = shape;
  if (anyRank === true || sizes.length === 0 || sizes.includes(-1)) return undefined;
  const numbers = sizes.reduce((count, size) => count * size, 1);
  if (numbers === labels.length) return undefined;
  return `its output ${name} has ${String(numbers)} numbers, its card has ${String(labels.length)} labels`;
}

function wrongEmbedding(embedding: Card['embedding'], head: OnnxHead): string | undefined {
  if (!embedding || innerTensors(head).has(embedding.output)) return undefined;
  return `its card names the embedding ${embedding.output}, no tensor of model.onnx is called so`;
}

/** Of a plain file: reading from a pipe or a device may never end. */
async function sizeOf(file: string): Promise<number> {
  const found = await stat(file);
  if (found.isFile()) return found.size;
  throw new Error(`${path.basename(file)} is not a file`);
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
