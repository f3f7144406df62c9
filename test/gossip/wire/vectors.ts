import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../../../shared/data/', import.meta.url));

/** Files with messages that Go has encoded; they stand beside the project where it is developed. */
export const vectorFiles = ['memberlist-vectors.txt', 'memberlist-vectors-v2.txt'].filter((name) =>
  existsSync(path.join(folder, name)),
);

/** Lines `name hex`. */
export function encodedBy(file: string): Map<string, Buffer> {
  return new Map(
    linesOf(file)
      .filter((line) => !line.startsWith('decode '))
      .map((line) => {
        const [name = '', hex = ''] = line.split(' ');
        return [name, Buffer.from(hex, 'hex')];
      }),
  );
}

/** Lines `decode TYPE hex -> what Go made of it`. */
export function decodedBy(file: string): { type: string; bytes: Buffer; failed: boolean }[] {
  return linesOf(file)
    .filter((line) => line.startsWith('decode '))
    .map((line) => {
      const [, type = '', hex = ''] = line.split(' ');
      return { type, bytes: Buffer.from(hex, 'hex'), failed: !line.endsWith('err=<nil>') };
    });
}

function linesOf(file: string): string[] {
  return readFileSync(path.join(folder, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}
