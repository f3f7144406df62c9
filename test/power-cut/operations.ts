/** A file or folder of the recorded disk: its number stands for the inode, and is never given out again. */
export interface Node {
  readonly id: number;
  readonly isFolder: boolean;
}

/** A name in a folder that is given to a node, or (without one) taken away. */
export interface EntryChange {
  readonly folder: number;
  readonly name: string;
  readonly node?: Node | undefined;
}

/** What a process has done to a disk, in the order in which it was done; and notes of those who watched it. */
export type Operation =
  /** One change, or the two of a rename: the new name, then the old one. */
  | { readonly kind: 'entry'; readonly changes: readonly EntryChange[] }
  | {
      readonly kind: 'data';
      readonly file: number;
      readonly at: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'size'; readonly file: number; readonly bytes: number }
  | { readonly kind: 'sync'; readonly node: number }
  | { readonly kind: 'note'; readonly note: unknown };

/** The folder that everything is in; it is always there. */
export const ROOT: Node = { id: 0, isFolder: true };

/** What is on a disk. A file that has two names is one object. */
export interface FolderTree {
  readonly node: Node;
  readonly entries: Map<string, FolderTree | FileTree>;
}

export interface FileTree {
  readonly node: Node;
  readonly data: Buffer;
}

export function isFolderTree(tree: FolderTree | FileTree): tree is FolderTree {
  return 'entries' in tree;
}

/** Operations that make a tree on an empty disk, all of them durable. */
export function operationsFor(tree: FolderTree): Operation[] {
  const operations: Operation[] = [];
  const written = new Set<number>();
  const visit = (folder: FolderTree): void => {
    for (const [name, entry] of folder.entries) {
      operations.push({
        ...{ kind: 'entry', changes: [{ folder: folder.node.id, name, node: entry.node }] },
      });
      if (isFolderTree(entry)) visit(entry);
      else if (!written.has(entry.node.id)) {
        written.add(entry.node.id);
        operations.push({ kind: 'data', file: entry.node.id, at: 0, bytes: entry.data });
        operations.push({ kind: 'sync', node: entry.node.id });
      }
    }
    operations.push({ kind: 'sync', node: folder.node.id });
  };
  visit(tree);
  return operations;
}
