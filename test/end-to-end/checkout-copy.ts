import { cp, mkdtemp, rm, symlink, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { checkout } from './live-data-center.js';

const LEFT_OUT = new Set(['node_modules', '.git', '.fractory']);

/** A copy of the checkout, to be changed as its user would; it shares only the installed packages. */
export class CheckoutCopy implements AsyncDisposable {
  readonly path: string;

  private constructor(folder: string) {
    this.path = folder;
  }

  static async make(): Promise<CheckoutCopy> {
    const folder = await mkdtemp(path.join(tmpdir(), 'fractory-copy-'));
    await cp(checkout, folder, {
      recursive: true,
      // What was built stays as fresh as it was.
      preserveTimestamps: true,
      filter: (source) => !LEFT_OUT.has(path.relative(checkout, source)),
    });
    // The packages are those of the original: nobody may find them too old and install others in their place.
    await utimes(path.join(folder, 'package-lock.json'), 0, 0);
    await symlink(path.join(checkout, 'node_modules'), path.join(folder, 'node_modules'));
    return new CheckoutCopy(folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}
