import fc from 'fast-check';

import { seededRandom } from '../../runtime/seeded-random.js';
import { assert, suite } from '../suite.js';
import { isFolderTree, operationsFor, ROOT } from './operations.js';
import type { FolderTree, Node, Operation } from './operations.js';
import { KILLED, powerCut, SECTOR_BYTES, survivors } from './survivors.js';

const FOLDER: Node = { id: 1, isFolder: true };
const FILE: Node = { id: 2, isFolder: false };
const CUTS = 300;

const give = (folder: Node, name: string, node?: Node): Operation => ({
  ...{ kind: 'entry', changes: [{ folder: folder.id, name, node }] },
});
const move = (from: Node, to: Node, name: string, node: Node): Operation => ({
  kind: 'entry',
  changes: [
    { folder: to.id, name: 'new', node },
    { folder: from.id, name },
  ],
});
const write = (at: number, text: string): Operation => ({
  ...{ kind: 'data', file: FILE.id, at, bytes: Buffer.from(text) },
});
const sync = (node: Node): Operation => ({ kind: 'sync', node: node.id });

/** A tree as text: `folder/`, `file=content`. */
function textOf(tree: FolderTree): string {
  return [...tree.entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, entry]) =>
      isFolderTree(entry)
        ? `${name}/(${textOf(entry)})`
        : `${name}=${entry.data.toString().replaceAll('\0', '.')}`,
    )
    .join(' ');
}

/** Everything that a power cut may leave. */
function ends(...operations: Operation[]): Set<string> {
  const random = seededRandom(3);
  return new Set(
    Array.from({ length: CUTS }, () => textOf(survivors(operations, powerCut(random)))),
  );
}

const sorted = (texts: Iterable<string>): string[] => [...texts].sort();

suite('what survives a power cut', (test) => {
  test('nothing is certain of what nobody synced, everything after a kill', () => {
    const operations = [give(ROOT, 'a', FILE), write(0, 'x')];
    assert.equal(sorted(ends(...operations)), sorted(['', 'a=', 'a=.', 'a=x']));
    assert.is(textOf(survivors(operations, KILLED)), 'a=x');
  });

  test('a synced file may have no name, a synced name no content', () => {
    const made = [give(ROOT, 'a', FILE), write(0, 'x')];
    assert.equal(sorted(ends(...made, sync(FILE))), sorted(['', 'a=x']));
    assert.equal(sorted(ends(...made, sync(ROOT))), sorted(['a=', 'a=.', 'a=x']));
    assert.equal(sorted(ends(...made, sync(FILE), sync(ROOT))), ['a=x']);
  });

  test('a synced folder that was itself not synced may be gone with all that is in it', () => {
    const operations = [give(ROOT, 'f', FOLDER), give(FOLDER, 'a', FILE), sync(FOLDER)];
    assert.equal(sorted(ends(...operations)), sorted(['', 'f/(a=)']));
  });

  test('a rename within a folder is whole or not at all, and what it replaces is never missing', () => {
    const old: Node = { id: 3, isFolder: false };
    const before = [give(ROOT, 'old', FILE), give(ROOT, 'new', old), sync(ROOT)];
    const renamed = [...before, move(ROOT, ROOT, 'old', FILE)];
    assert.equal(sorted(ends(...renamed)), sorted(['new= old=', 'new=']));
    assert.equal(sorted(ends(...renamed, sync(ROOT))), ['new=']);
  });

  test('a rename between folders may leave both names, never neither', () => {
    const before = [give(ROOT, 'f', FOLDER), give(FOLDER, 'a', FILE), sync(ROOT), sync(FOLDER)];
    const moved = [...before, move(FOLDER, ROOT, 'a', FILE)];
    const both = 'f/(a=) new=';
    assert.equal(sorted(ends(...moved)), sorted(['f/(a=)', both, 'f/() new=']));
    assert.equal(sorted(ends(...moved, sync(ROOT))), sorted([both, 'f/() new=']));
    assert.equal(sorted(ends(...moved, sync(FOLDER))), ['f/() new=']);
  });

  test('of a write that was not synced any sectors are there, of one that was synced all', () => {
    const long = 'a'.repeat(SECTOR_BYTES) + 'b'.repeat(SECTOR_BYTES);
    const made = [give(ROOT, 'a', FILE), sync(ROOT), write(0, long)];
    const found = ends(...made);
    for (const text of [long, '', '.'.repeat(2 * SECTOR_BYTES), 'a'.repeat(SECTOR_BYTES)])
      assert.ok(found.has(`a=${text}`), text.slice(0, 3));
    assert.ok(found.has(`a=${'.'.repeat(SECTOR_BYTES)}${'b'.repeat(SECTOR_BYTES)}`));
    const later = ends(...made, sync(FILE), write(0, 'z'));
    assert.equal(sorted(later), sorted([`a=${long}`, `a=z${long.slice(1)}`]));
  });

  test('the operations that make a tree make it durably', () => {
    const node = fc.nat(3);
    fc.assert(
      fc.property(fc.array(fc.tuple(node, fc.string({ maxLength: 5 }))), (files) => {
        const folder: FolderTree = { node: FOLDER, entries: new Map() };
        const tree: FolderTree = { node: ROOT, entries: new Map([['f', folder]]) };
        for (const [index, [, content]] of files.entries())
          folder.entries.set(`n${String(index)}`, {
            node: { id: index + 5, isFolder: false },
            data: Buffer.from(content),
          });
        const operations = operationsFor(tree);
        assert.is(
          textOf(survivors(operations, powerCut(seededRandom(files.length)))),
          textOf(tree),
        );
      }),
    );
  });
});
