import fc from 'fast-check';

import { placeInLayers } from '../../../applications/sdk/plan/layers.js';
import type { Connection, Node } from '../../../applications/sdk/plan/layers.js';
import { assert, suite } from '../../suite.js';

/** Graphs whose edges lead from lower to higher numbers. */
const graphs = fc
  .integer({ min: 1, max: 14 })
  .chain((count) =>
    fc.tuple(
      fc.array(fc.tuple(fc.integer({ min: 10, max: 200 }), fc.integer({ min: 10, max: 90 })), {
        minLength: count,
        maxLength: count,
      }),
      fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 2 * count }),
    ),
  )
  .map(([sizes, pairs]): { nodes: Node[]; edges: Connection[] } => ({
    nodes: sizes.map(([width, height], index) => ({ id: String(index), width, height })),
    edges: pairs
      .filter(([from, to]) => from !== to)
      .map(([one, other]) => ({
        from: String(Math.min(one, other)),
        to: String(Math.max(one, other)),
      })),
  }));

suite('layers', (test) => {
  test('nothing overlaps, everything is inside, and edges lead downwards', () => {
    fc.assert(
      fc.property(graphs, ({ nodes, edges }) => {
        const { width, height, places, bends } = placeInLayers(nodes, edges);
        const boxes = nodes.map((node) => {
          const { x, y } = places.get(node.id) ?? { x: NaN, y: NaN };
          return { ...node, left: x - node.width / 2, right: x + node.width / 2, y };
        });
        for (const [index, box] of boxes.entries()) {
          assert.ok(box.left >= -1 && box.right <= width + 1 && box.y >= 0);
          assert.ok(box.y + box.height <= height);
          for (const other of boxes.slice(index + 1))
            assert.ok(
              box.right <= other.left ||
                other.right <= box.left ||
                box.y + box.height <= other.y ||
                other.y + other.height <= box.y,
            );
        }
        for (const [index, { from, to }] of edges.entries()) {
          const [source, target] = [boxes[Number(from)], boxes[Number(to)]];
          const route = [
            (source?.y ?? NaN) + (source?.height ?? NaN),
            ...(bends[index] ?? []).map(({ y }) => y),
            target?.y ?? NaN,
          ];
          for (const [at, y] of route.entries()) assert.ok(at === 0 || y >= (route[at - 1] ?? 0));
        }
      }),
    );
  });

  test('a chain stands straight, and the middle of a fork over its branches', () => {
    const node = (id: string): Node => ({ id, width: 50, height: 20 });
    const edge = (path: string): Connection => ({ from: path[0] ?? '', to: path[1] ?? '' });
    const chain = placeInLayers(['a', 'b', 'c'].map(node), ['ab', 'bc'].map(edge)).places;
    assert.equal(
      [...chain.values()].map(({ x }) => x),
      [25, 25, 25],
    );
    const fork = placeInLayers(['a', 'b', 'c'].map(node), ['ab', 'ac'].map(edge)).places;
    const [a = 0, b = 0, c = 0] = [...fork.values()].map(({ x }) => x);
    assert.ok(Math.abs(a - (b + c) / 2) <= 1);
  });
});
