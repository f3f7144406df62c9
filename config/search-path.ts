import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';

/** Whether the shell would find this program. */
export function isOnSearchPath(
  program: string,
  environment: NodeJS.ProcessEnv = process.env,
): boolean {
  const folders = (environment['PATH'] ?? '').split(path.delimiter).filter((one) => one !== '');
  return folders.some((folder) => isExecutable(path.join(folder, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The environment with the folders of system programs on the search path too: users rarely have them there. */
export function systemEnvironment(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const folders = (environment['PATH'] ?? '').split(path.delimiter);
  const siblings = folders
    .filter((folder) => path.basename(folder) === 'bin')
    .map((folder) => path.join(path.dirname(folder), 'sbin'));
  return { ...environment, PATH: [...new Set([...folders, ...siblings])].join(path.delimiter) };
}
