/** A live node of a revocation tree. */
export interface TreeNode<T> {
  readonly id: bigint;
  readonly value: T;
  readonly parent: TreeNode<T> | undefined;
  /** Made when the first child comes: most nodes have none. */
  children: Set<TreeNode<T>> | undefined;
}

/**
 * What one owner can revoke: a forest of live nodes. A node dies with all below it, at once, and is forgotten: an id that is not there
 * belonged to a node that is dead. Pure: no clock, no callbacks. Invariants: ids are never used twice; the parent of a live node is live.
 */
export class RevocationTree<T> {
  readonly #nodes = new Map<bigint, TreeNode<T>>();
  #nextId = 1n;
  #roots = 0;

  /** Live nodes. */
  get size(): number {
    return this.#nodes.size;
  }

  /** Live nodes without a parent. */
  get roots(): number {
    return this.#roots;
  }

  get(id: bigint): TreeNode<T> | undefined {
    return this.#nodes.get(id);
  }

  has(id: bigint): boolean {
    return this.#nodes.has(id);
  }

  /** Adds a root, or a child of a live node. `make` gets the id of the node. */
  add(make: (id: bigint) => T, parent?: TreeNode<T>): TreeNode<T> {
    if (parent && this.#nodes.get(parent.id) !== parent)
      throw new Error(`node ${String(parent.id)} is dead and can have no children`);
    const id = this.#nextId++;
    const node: TreeNode<T> = { id, value: make(id), parent, children: undefined };
    this.#nodes.set(id, node);
    if (parent) (parent.children ??= new Set()).add(node);
    else this.#roots++;
    return node;
  }

  /** Kills a node and all below it; returns those that died by this call, parents first. Time and memory grow with their number only. */
  revoke(id: bigint): readonly TreeNode<T>[] {
    const top = this.#nodes.get(id);
    if (!top) return [];
    top.parent?.children?.delete(top);
    if (!top.parent) this.#roots--;
    const died = [top];
    for (const node of died) {
      this.#nodes.delete(node.id);
      if (node.children) for (const child of node.children) died.push(child);
    }
    return died;
  }

  /** Kills all; ids go on. */
  clear(): readonly TreeNode<T>[] {
    const died = [...this.#nodes.values()];
    this.#nodes.clear();
    this.#roots = 0;
    return died;
  }
}
