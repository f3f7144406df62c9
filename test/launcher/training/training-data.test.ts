import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { getuid } from 'node:process';
import path from 'node:path';

import { extract } from 'tar-stream';

import { localData } from '../../../launcher/training/training-data.js';
import { FractoryError } from '../../../runtime/errors.js';
import { temporaryFolder } from '../../services/cnn/fixture.js';
import { assert, rejects, suite } from '../../suite.js';

interface Sent {
  readonly files: ReadonlyMap<string, string>;
  readonly left: readonly string[];
  readonly bytes: Buffer;
}

async function sent(place: string, maxFileBytes = 1000): Promise<Sent> {
  const left: string[] = [];
  const chunks: Uint8Array[] = [];
  const data = await localData(place, maxFileBytes);
  for await (const chunk of data.chunks(({ name, reason }) => left.push(`${name} ${reason}`)))
    chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const tar = extract();
  tar.end(bytes);
  const files = new Map<string, string>();
  for await (const entry of tar) {
    const parts: Uint8Array[] = [];
    for await (const part of entry) parts.push(part);
    files.set(entry.header.name, Buffer.concat(parts).toString());
  }
  return { files, left, bytes };
}

async function pets(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'train', 'cat'), { recursive: true });
  await mkdir(path.join(folder, 'dog'));
  await writeFile(path.join(folder, 'train', 'cat', '2.jpg'), 'second');
  await writeFile(path.join(folder, 'train', 'cat', '1.jpg'), 'first');
  await writeFile(path.join(folder, 'dog', '1.jpg'), 'dog');
}

suite('pictures of this machine', (test) => {
  test('of a folder become a tar, the same for the same pictures', async () => {
    await using one = await temporaryFolder();
    await using two = await temporaryFolder();
    await pets(one.path);
    await pets(two.path);
    const { files, left, bytes } = await sent(one.path);
    assert.equal(
      [...files],
      [
        ['dog/1.jpg', 'dog'],
        ['train/cat/1.jpg', 'first'],
        ['train/cat/2.jpg', 'second'],
      ],
    );
    assert.equal(left, []);
    assert.ok(bytes.equals((await sent(two.path)).bytes));
  });

  test('links, large files and what can not be read are told and left out; hidden ones are left out', async () => {
    await using folder = await temporaryFolder();
    await pets(folder.path);
    const dog = (name: string): string => path.join(folder.path, 'dog', name);
    await symlink('/etc/hostname', dog('link.jpg'));
    await symlink('/etc', dog('folder'));
    await writeFile(dog('large.jpg'), Buffer.alloc(1001));
    await writeFile(dog('.DS_Store'), 'x');
    await writeFile(dog('locked.jpg'), 'x');
    await chmod(dog('locked.jpg'), 0);
    const { files, left } = await sent(folder.path);
    const isRoot = getuid?.() === 0;
    assert.is(files.size, isRoot ? 4 : 3);
    assert.equal([...left].sort(), [
      'dog/folder is a symbolic link',
      'dog/large.jpg has 1001 bytes, the limit max_image_bytes of the node is 1000',
      'dog/link.jpg is a symbolic link',
      ...(isRoot ? [] : ["dog/locked.jpg can't be read (EACCES)"]),
    ]);
  });

  test('names of any length survive, and so do files larger than a chunk', async () => {
    await using folder = await temporaryFolder();
    const name = `${'long'.repeat(40)}.jpg`;
    await mkdir(path.join(folder.path, 'kätzchen'));
    await writeFile(path.join(folder.path, 'kätzchen', name), Buffer.alloc(3_000_000, 'x'));
    const { files } = await sent(folder.path, 10_000_000);
    assert.is(files.get(`kätzchen/${name}`)?.length, 3_000_000);
  });

  test('that are a tar already go as they are', async () => {
    await using folder = await temporaryFolder();
    await pets(folder.path);
    const { bytes } = await sent(folder.path);
    await using other = await temporaryFolder();
    const tar = path.join(other.path, 'pets.tar');
    await writeFile(tar, bytes);
    assert.ok((await sent(tar)).bytes.equals(bytes));
  });

  test('that are not there are not found', async () => {
    const error = await rejects(localData('/nowhere/pets', 1), FractoryError, {
      reason: 'NO_DATA',
    });
    assert.is(error.code, 5);
  });
});
