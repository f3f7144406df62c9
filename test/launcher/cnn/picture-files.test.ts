import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { getuid } from 'node:process';

import { countPictures, findPictures, namesIn } from '../../../launcher/cnn/picture-files.js';
import type { FoundPicture } from '../../../launcher/cnn/picture-files.js';
import { assert, suite } from '../../suite.js';
import { StateFolder } from '../state-folder.js';

async function found(names: readonly string[]): Promise<[FoundPicture[], number]> {
  const leftOut = { otherFiles: 0 };
  const all: FoundPicture[] = [];
  for await (const picture of findPictures(names, leftOut)) all.push(picture);
  return [all, leftOut.otherFiles];
}

function outcomes(pictures: readonly FoundPicture[]): string[] {
  return pictures.map((one) =>
    'error' in one ? `${path.basename(one.file)} ${one.error.reason}` : path.basename(one.file),
  );
}

suite('picture files', (test) => {
  test('a folder gives its pictures in order of their names, and says how much else there was', async () => {
    await using folder = await StateFolder.create();
    const at = (...names: string[]): string => path.join(folder.path, ...names);
    await mkdir(at('b', 'c'), { recursive: true });
    await mkdir(at('.hidden'));
    for (const name of ['z.JPG', 'a.png', 'b/x.webp', 'b/c/y.tiff', 'b/notes.txt', '.hidden/q.jpg'])
      await writeFile(at(name), 'x');
    await writeFile(at('.secret.jpg'), 'x');
    await symlink(at('a.png'), at('link.png'));
    await symlink(folder.path, at('b', 'loop'));
    const [pictures, others] = await found([folder.path]);
    assert.equal(
      pictures.map(({ file }) => path.relative(folder.path, file)),
      ['a.png', 'b/c/y.tiff', 'b/x.webp', 'z.JPG'],
    );
    assert.is(others, 1);
    assert.is(await countPictures([folder.path], new AbortController().signal), 4);
  });

  test('a file is taken by its own name whatever that is, through a link too', async () => {
    await using folder = await StateFolder.create();
    const at = (name: string): string => path.join(folder.path, name);
    await writeFile(at('notes'), '12345');
    await symlink(at('notes'), at('link'));
    const [pictures] = await found([at('notes'), at('link')]);
    assert.equal(outcomes(pictures), ['notes', 'link']);
    assert.is('sizeBytes' in pictures[0]! ? pictures[0].sizeBytes : 0, 5);
  });

  test('what is not there, no file, or empty of pictures is told in its place', async () => {
    await using folder = await StateFolder.create();
    const empty = path.join(folder.path, 'empty');
    await mkdir(empty);
    const [pictures] = await found(['/nowhere/a.jpg', '/dev/null', empty]);
    assert.equal(outcomes(pictures), [
      'a.jpg FILE_NOT_FOUND',
      'null NOT_A_FILE',
      'empty NO_PICTURES',
    ]);
    for (const one of pictures) if ('error' in one) assert.not.match(one.error.message, /\n/);
  });

  test(
    'a folder below that may not be read is one failure among the others',
    async () => {
      await using folder = await StateFolder.create();
      await mkdir(path.join(folder.path, 'a'));
      await writeFile(path.join(folder.path, 'b.jpg'), 'x');
      await chmod(path.join(folder.path, 'a'), 0);
      const [pictures] = await found([folder.path]);
      assert.equal(outcomes(pictures), ['a NOT_READABLE', 'b.jpg']);
    },
    { skip: getuid?.() === 0 && 'root may read everything' },
  );

  test('names come one in a line or with a NUL behind each, wherever chunks end', async () => {
    const read = async (text: string, size: number): Promise<string[]> => {
      const bytes = Buffer.from(text);
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const names: string[] = [];
      const input = (async function* () {
        for (const chunk of chunks) yield await Promise.resolve(chunk);
      })();
      for await (const name of namesIn(input)) names.push(name);
      return names;
    };
    for (const size of [1, 2, 3, 100]) {
      assert.equal(await read('a b.jpg\nä.png\r\n\nlast', size), ['a b.jpg', 'ä.png', 'last']);
      assert.equal(await read('a.jpg\0b\0', size), ['a.jpg', 'b']);
    }
    assert.equal(await read('', 1), []);
  });
});
