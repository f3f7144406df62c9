import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the installed product: the parent of `dist/`, where this file runs. Absolute. */
export const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

const STATE_FOLDER = '.fractory';

export interface Places {
  readonly root: string;
  /** `.fractory`, or what FRACTORY_STATE says; an empty one says nothing. Absolute. */
  readonly statePath: string;
}

export function placesFrom(
  environment: NodeJS.ProcessEnv = process.env,
  root: string = projectRoot,
): Places {
  const statePath = path.resolve(root, environment['FRACTORY_STATE'] || STATE_FOLDER);
  return { root, statePath };
}

/** A path of the ini file: relative to the project's root; `.fractory/...` follows the state folder wherever it is. */
export function resolvePath(places: Places, given: string): string {
  const relative = path.normalize(given);
  if (relative === STATE_FOLDER) return places.statePath;
  if (relative.startsWith(`${STATE_FOLDER}${path.sep}`))
    return path.join(places.statePath, relative.slice(STATE_FOLDER.length + 1));
  return path.resolve(places.root, relative);
}

/** The JavaScript of a source file: `controllers/storage/main.ts` runs as `dist/controllers/storage/main.js`. */
export function builtFile(root: string, source: string): string {
  const full = path.resolve(root, source);
  if (!full.endsWith('.ts')) return full;
  const relative = path.relative(root, full);
  return path.join(root, 'dist', `${relative.slice(0, -'.ts'.length)}.js`);
}
