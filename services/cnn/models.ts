import { status } from '@grpc/grpc-js';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

import { FractoryError, messageOf, systemCodeOf } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import { closest } from '../../runtime/suggestion.js';
import { parseCard } from './card.js';
import type { Card } from './card.js';

const VERSION = /^[1-9][0-9]{0,8}$/;
const MAX_CARD_BYTES = 8 * 1024 ** 2;

/** One version of a model. */
export interface Model {
  readonly name: string;
  readonly version: number;
  /** Path of `model.onnx`. */
  readonly file: string;
  /** Undefined where the card can't be read. */
  readonly card: Card | undefined;
  /** `ready`, or what is wrong. */
  readonly state: string;
}

/** A model that can be used. */
export type ReadyModel = Model & { readonly card: Card; readonly state: 'ready' };

/** The models in some folders, `NAME/VERSION/{model.onnx,model.json}`. Models that are broken are listed with what is wrong. */
export class ModelRepository {
  #models: readonly Model[];

  constructor(models: readonly Model[]) {
    this.#models = models;
  }

  /** Reads all cards and checks the hash of every model. Where two folders hold the same model and version, the first wins. */
  static async open(roots: readonly string[]): Promise<ModelRepository> {
    const models: Model[] = [];
    for (const root of roots) {
      for (const name of await folders(root)) {
        if (!isName(name)) continue;
        for (const version of await folders(path.join(root, name))) {
          if (!VERSION.test(version)) continue;
          const known = models.some((one) => one.name === name && one.version === Number(version));
          if (!known) models.push(await readModel(root, name, Number(version)));
        }
      }
    }
    return new ModelRepository(
      models.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : b.version - a.version)),
    );
  }

  /** By name, newest version first. */
  list(): readonly Model[] {
    return this.#models;
  }

  /** Marks a model as broken. */
  refuse(model: Model, problem: string): void {
    this.#models = this.#models.map((one) => (one === model ? { ...one, state: problem } : one));
  }

  /** The model of that name; version 0 = the newest that is ready. Throws MODEL_NOT_FOUND or MODEL_CORRUPT. */
  find(name: string, version = 0): ReadyModel {
    checkName('model', name);
    const named = this.#models.filter((model) => model.name === name);
    if (named.length === 0) throw this.#unknown(name);
    const wanted = version === 0 ? named : named.filter((model) => model.version === version);
    const [first] = wanted;
    if (!first)
      throw notFound(
        `model ${name} has no version ${String(version)}, there are: ${named.map((one) => one.version).join(', ')}`,
      );
    const ready = wanted.find(isReady);
    if (ready) return ready;
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'MODEL_CORRUPT',
      `model ${name} version ${String(first.version)} can't be used: ${first.state}`,
    );
  }

  #unknown(name: string): FractoryError {
    const names = [...new Set(this.#models.map((model) => model.name))];
    if (names.length === 0) return notFound(`there is no model ${name}: no models are installed`);
    const near = closest(name, names);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    return notFound(`there is no model ${name}, there are: ${names.join(', ')}${hint}`);
  }
}

export function isReady(model: Model): model is ReadyModel {
  return model.card !== undefined && model.state === 'ready';
}

function notFound(message: string): FractoryError {
  return new FractoryError(status.NOT_FOUND, 'MODEL_NOT_FOUND', message);
}

async function folders(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    // A folder for more models need not exist.
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function readModel(root: string, name: string, version: number): Promise<Model> {
  const folder = path.join(root, name, String(version));
  const file = path.join(folder, 'model.onnx');
  const broken = (state: string, card?: Card): Model => ({ name, version, file, card, state });
  try {
    const text = await readFile(path.join(folder, 'model.json'), 'utf8');
    if (text.length > MAX_CARD_BYTES) return broken('model.json is too long');
    const card = parseCard(text);
    if ('problem' in card) return broken(card.problem);
    if (card.name !== name || card.version !== version)
      return broken(`model.json is about ${card.name} version ${String(card.version)}`);
    const sha256 = await hashOf(file);
    if (sha256 !== card.sha256)
      return broken(`model.onnx has the SHA-256 ${sha256}, its card says ${card.sha256}`, card);
    return { name, version, file, card, state: 'ready' };
  } catch (error) {
    const missing = systemCodeOf(error) === 'ENOENT';
    return broken(missing ? 'model.onnx or model.json is missing' : messageOf(error));
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function isName(name: string): boolean {
  try {
    checkName('model', name);
    return true;
  } catch {
    return false;
  }
}
