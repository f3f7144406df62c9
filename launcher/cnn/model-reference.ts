import { InvalidArgumentError } from 'commander';

import { FractoryError } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';

/** A model as a command line names it. */
export interface ModelReference {
  readonly name: string;
  /** 0 = none was named. */
  readonly version: number;
}

const MAX_VERSION = 2 ** 32 - 1;

/** Reads NAME or NAME@VERSION; commander tells what is wrong with it. */
export function modelReference(text: string): ModelReference {
  const at = text.lastIndexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  try {
    checkName('NAME', name);
  } catch (error) {
    if (error instanceof FractoryError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
  return { name, version: at < 0 ? 0 : versionOf(text.slice(at + 1)) };
}

/** Reads NAME@VERSION. */
export function versionReference(text: string): ModelReference {
  const reference = modelReference(text);
  if (reference.version > 0) return reference;
  throw new InvalidArgumentError(`it has to be NAME@VERSION, such as ${reference.name}@1.`);
}

/** Reads NAME alone. */
export function modelName(text: string): string {
  const { name, version } = modelReference(text);
  if (version === 0) return name;
  throw new InvalidArgumentError(`it has to be a name without a version: ${name}.`);
}

export function referenceText({ name, version }: ModelReference): string {
  return version === 0 ? name : `${name}@${String(version)}`;
}

function versionOf(text: string): number {
  const version = Number(text);
  if (/^[1-9]\d*$/.test(text) && version <= MAX_VERSION) return version;
  throw new InvalidArgumentError('the version has to be a whole number from 1, as in NAME@1.');
}
