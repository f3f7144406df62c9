import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import { closest } from '../../../runtime/suggestion.js';
import { nameOf } from './served-version.js';
import type { ServedVersion } from './served-version.js';

/** The versions of one model, newest first, and the one that was pinned. */
export interface Candidates {
  readonly versions: readonly ServedVersion[];
  readonly pinned: number | undefined;
}

/**
 * The version that a call without one gets: the pinned one, or else the newest that can be used. A version that is about to take over lets an older
 * one that is in memory answer until it is there itself.
 */
export function chooseDefault({ versions, pinned }: Candidates): ServedVersion | undefined {
  const usable = versions.filter((one) => one.isUsable);
  const chosen = usable.find((one) => one.version === pinned) ?? usable[0];
  if (chosen?.isWarming !== true) return chosen;
  return usable.find((one) => one.resident !== undefined) ?? chosen;
}

/** Why a version can't be used. */
export function refusalOf(one: ServedVersion): FractoryError {
  if (one.isUnloaded)
    return new FractoryError(
      status.FAILED_PRECONDITION,
      'MODEL_UNLOADED',
      `${nameOf(one)} was unloaded by hand, load it again first`,
    );
  const problem = one.problem ?? 'it is not there any more';
  if (one.facts.isTooLarge)
    return new FractoryError(
      status.RESOURCE_EXHAUSTED,
      'MODELS_TOO_LARGE',
      `${nameOf(one)} can't be loaded: ${problem}`,
      { metadata: { limit: 'max_models_bytes' } },
    );
  return modelCorrupt(one, problem);
}

export function modelCorrupt(
  one: { readonly name: string; readonly version: number },
  problem: string,
): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'MODEL_CORRUPT',
    `${nameOf(one)} can't be used: ${problem}`,
  );
}

/** Of several that can't be used, the one whose reason tells most: the newest that was unloaded by hand, or else the newest. */
export function refusalOfAll(versions: readonly ServedVersion[]): FractoryError {
  const told = versions.find((one) => one.isUnloaded) ?? versions[0];
  if (told) return refusalOf(told);
  throw new Error('a model without versions');
}

export function unknownModel(name: string, names: readonly string[]): FractoryError {
  if (names.length === 0) return notFound(`there is no model ${name}: no models are installed`);
  const near = closest(name, names);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return notFound(`there is no model ${name}, there are: ${names.join(', ')}${hint}`);
}

export function unknownVersion(
  name: string,
  version: number,
  versions: readonly ServedVersion[],
): FractoryError {
  const known = versions.map((one) => one.version).join(', ');
  return notFound(`model ${name} has no version ${String(version)}, there are: ${known}`);
}

function notFound(message: string): FractoryError {
  return new FractoryError(status.NOT_FOUND, 'MODEL_NOT_FOUND', message);
}
