import fc from 'fast-check';

import { RevocationTree } from '../../../../controllers/kernel/capabilities/revocation-tree.js';
import type { TreeNode } from '../../../../controllers/kernel/capabilities/revocation-tree.js';
import { assert, suite, throws } from '../../../suite.js';
import { SEED } from './capability-table.js';

const PROPERTY = { seed: SEED, numRuns: 300 };

/** Adds a root, a child of the node of this number, revokes that node, or clears. */
const moves = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.constant({ kind: 'root' as const }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('child' as const), of: fc.nat(40) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('revoke' as const), of: fc.nat(40) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'clear' as const }) },
  ),
  { maxLength: 60 },
);

/** A list of parents: as plain as it can be. */
class NaiveTree {
  readonly parents: (number | undefined)[] = [];
  readonly dead = new Set<number>();

  isBelow(node: number, top: number): boolean {
    if (node === top) return true;
    const parent = this.parents[node];
    return parent !== undefined && this.isBelow(parent, top);
  }

  live(): number[] {
    return this.parents.map((_, node) => node).filter((node) => !this.dead.has(node));
  }

  revoke(top: number): number[] {
    const died = this.live().filter((node) => this.isBelow(node, top));
    for (const node of died) this.dead.add(node);
    return died;
  }
}

suite(`revocation tree (seed ${String(SEED)})`, (test) => {
  test('does what a list of parents does', () => {
    fc.assert(
      fc.property(moves, (sequence) => {
        const tree = new RevocationTree<number>();
        const naive = new NaiveTree();
        const nodes: TreeNode<number>[] = [];
        const died: number[] = [];
        for (const move of sequence) {
          const { length } = nodes;
          const of = 'of' in move ? nodes[move.of % Math.max(length, 1)] : undefined;
          if (move.kind === 'clear') {
            died.push(...tree.clear().map(({ value }) => value));
            for (const node of naive.live()) naive.dead.add(node);
          } else if (move.kind === 'revoke') {
            if (!of) continue;
            const found = tree.revoke(of.id).map(({ value }) => value);
            died.push(...found);
            assert.equal([...found].sort(ascending), naive.revoke(of.value));
            found.forEach((node, place) => {
              const parent = naive.parents[node];
              if (place > 0) assert.ok(found.indexOf(parent!) < place, 'a child died first');
            });
          } else if (move.kind === 'child' && of && naive.dead.has(of.value))
            throws(() => tree.add(() => length, of), Error);
          else if (move.kind === 'root' || of) {
            nodes.push(tree.add(() => length, move.kind === 'root' ? undefined : of));
            naive.parents.push(move.kind === 'root' ? undefined : of!.value);
          }
          const live = naive.live();
          assert.is(tree.size, live.length);
          assert.is(tree.roots, live.filter((node) => naive.parents[node] === undefined).length);
          for (const { id, value } of nodes) assert.is(tree.has(id), !naive.dead.has(value));
        }
        assert.is(new Set(died).size, died.length, 'a node died twice');
        assert.is(new Set(nodes.map(({ id }) => id)).size, nodes.length, 'an id was used twice');
      }),
      PROPERTY,
    );
  });

  test('a chain of 100,000 nodes dies in one pass', () => {
    const tree = new RevocationTree<number>();
    const top = tree.add(() => 0);
    let last = top;
    for (let depth = 1; depth < 100_000; depth++) last = tree.add(() => depth, last);
    assert.is(tree.revoke(top.id).length, 100_000);
    assert.equal([tree.size, tree.roots, tree.has(last.id)], [0, 0, false]);
  });

  test('ids go on after everything was cleared', () => {
    const tree = new RevocationTree<bigint>();
    const first = tree.add((id) => id);
    tree.clear();
    const second = tree.add((id) => id);
    assert.ok(second.id > first.id);
    assert.is(second.value, second.id);
  });
});

const ascending = (one: number, other: number): number => one - other;
