import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { loadConfig } from '../../config/loader.js';
import type { DataCenterConfig } from '../../config/data-center-config.js';
import { ConfigError } from '../../config/problems.js';
import type { Problem } from '../../config/problems.js';
import { integer, section } from '../../config/fields.js';
import { rejects } from '../suite.js';

/** Keys of the device in these tests. */
export const deviceSettings = section({ max_files: integer(1, 100).default(10) });

/** A folder that holds an ini file and the mains that it names. */
export class IniFolder implements AsyncDisposable {
  readonly root: string;
  readonly file: string;

  private constructor(root: string) {
    this.root = root;
    this.file = path.join(root, 'data_center.ini');
  }

  static async create(content: string): Promise<IniFolder> {
    const folder = new IniFolder(await mkdtemp(path.join(tmpdir(), 'fractory-config-')));
    for (const type of ['storage', 'math']) {
      const built = path.join(folder.root, 'dist/controllers', type);
      await mkdir(built, { recursive: true });
      await writeFile(path.join(built, 'main.js'), '');
    }
    await writeFile(folder.file, content);
    return folder;
  }

  load(environment: NodeJS.ProcessEnv = {}): Promise<DataCenterConfig> {
    return loadConfig({
      file: this.file,
      root: this.root,
      environment,
      settingsOf: () => Promise.resolve(deviceSettings),
    });
  }

  /** What is wrong with it. */
  async problems(environment: NodeJS.ProcessEnv = {}): Promise<readonly Problem[]> {
    const error = await rejects(this.load(environment), ConfigError);
    return error.problems;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }
}

export const STORAGE = `
[Controllers]
controller_names = storage_controller
[storage_controller]
paths_to_controller = controllers/storage/main.ts
`;
