import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { status } from '@grpc/grpc-js';

import { FractoryError, messageOf } from '../../runtime/errors.js';
import { closest } from '../../runtime/suggestion.js';
import type { Application } from './application.js';

const folder = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Names of the applications: the files beside this folder. */
export async function applicationNames(): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.js'))
    .map((entry) => entry.name.slice(0, -'.js'.length))
    .sort();
}

async function load(name: string): Promise<{ application?: Application }> {
  try {
    return (await import(pathToFileURL(path.join(folder, `${name}.js`)).href)) as {
      application?: Application;
    };
  } catch (error) {
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'APPLICATION_BROKEN',
      `application ${name} cannot be loaded: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Loads an application; NOT_FOUND names the one that was probably meant. */
export async function loadApplication(name: string): Promise<Application> {
  const names = await applicationNames();
  if (!names.includes(name)) {
    const meant = closest(name, names);
    const hint = meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${meant}?`;
    throw new FractoryError(
      status.NOT_FOUND,
      'APPLICATION_NOT_FOUND',
      `there is no application ${name}; ${hint}`,
    );
  }
  const module = await load(name);
  if (module.application) return module.application;
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'NOT_AN_APPLICATION',
    `applications/${name}.ts exports no \`application\`; write: export const application = defineApplication({...})`,
  );
}
