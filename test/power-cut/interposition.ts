import fs from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/** Any function of the module or of a file handle. */
export type Call = (...args: never[]) => unknown;

export type FileFunction =
  | 'access'
  | 'link'
  | 'lstat'
  | 'mkdir'
  | 'open'
  | 'readFile'
  | 'readdir'
  | 'rename'
  | 'rm'
  | 'stat'
  | 'writeFile';

export type HandleMethod =
  'datasync' | 'read' | 'readFile' | 'stat' | 'sync' | 'truncate' | 'write' | 'writeFile';

export type FileFunctions = Pick<typeof fs, FileFunction>;

/** What takes the place of the functions of `node:fs/promises` and of the methods of its handles. */
export interface Interposition {
  file(name: FileFunction, original: Call, args: readonly unknown[]): Promise<unknown>;
  handle(
    handle: FileHandle,
    name: HandleMethod,
    original: Call,
    args: readonly unknown[],
  ): Promise<unknown>;
}

const FILE_FUNCTIONS: readonly FileFunction[] = [
  ...(['access', 'link', 'lstat', 'mkdir', 'open', 'readFile'] as const),
  ...(['readdir', 'rename', 'rm', 'stat', 'writeFile'] as const),
];
const HANDLE_METHODS: readonly HandleMethod[] = [
  ...(['datasync', 'read', 'readFile', 'stat'] as const),
  ...(['sync', 'truncate', 'write', 'writeFile'] as const),
];

/** Puts it in place for all modules of this process, those that are loaded too, until it is disposed of. */
export async function interpose(interposition: Interposition): Promise<Disposable> {
  const own = await fs.open('/dev/null', 'r');
  const prototype = Object.getPrototypeOf(own) as Record<string, Call>;
  await own.close();
  const module = fs as unknown as Record<string, Call>;
  const undo: (() => void)[] = [];
  const replace = (
    owner: Record<string, Call>,
    name: string,
    make: (original: Call) => Call,
  ): void => {
    const original = owner[name];
    if (!original) throw new Error(`there is no ${name}`);
    owner[name] = make(original);
    undo.push(() => {
      owner[name] = original;
    });
  };
  for (const name of FILE_FUNCTIONS)
    replace(
      module,
      name,
      (original) =>
        (...args) =>
          interposition.file(name, original, args),
    );
  for (const name of HANDLE_METHODS)
    replace(
      prototype,
      name,
      (original) =>
        function (this: FileHandle, ...args: never[]) {
          return interposition.handle(this, name, original, args);
        },
    );
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]: () => {
      for (const one of undo) one();
      syncBuiltinESMExports();
    },
  };
}
