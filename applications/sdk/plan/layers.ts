/** Something to place: a box of this size, connected to others by edges. */
export interface Node {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

export interface Connection {
  readonly from: string;
  readonly to: string;
}

/** A node's place; x is that of its middle, y that of its top. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface Placement {
  readonly width: number;
  readonly height: number;
  readonly places: ReadonlyMap<string, Place>;
  /** For each connection, in order: where it enters and leaves each layer that it passes, from the top down. */
  readonly bends: readonly (readonly Place[])[];
}

/** Pixels between neighbours, and between layers. */
const GAP = 28;
const LAYER_GAP = 50;
/** Width of a lane that is kept free for a connection that passes a layer. */
const LANE = 14;
const SWEEPS = 6;

/** What stands in a layer: a node, or the lane of a connection that passes. */
interface Slot {
  readonly id: string;
  readonly width: number;
  readonly height: number;
  readonly above: Slot[];
  readonly below: Slot[];
  x: number;
}

/**
 * Places a graph without cycles in layers from the top down (Sugiyama's method in its simplest form): the layer of a node is the longest way to
 * it, the order within layers follows the neighbours, and nodes stand as near to the middle of their neighbours as the order lets them.
 */
export function placeInLayers(
  nodes: readonly Node[],
  connections: readonly Connection[],
): Placement {
  const depths = depthsOf(nodes, connections);
  const layers: Slot[][] = Array.from({ length: Math.max(0, ...depths.values()) + 1 }, () => []);
  const slots = new Map<string, Slot>();
  const add = (node: Node, depth: number): Slot => {
    const slot: Slot = { ...node, above: [], below: [], x: 0 };
    layers[depth]?.push(slot);
    return slot;
  };
  for (const node of nodes) slots.set(node.id, add(node, depths.get(node.id) ?? 0));
  const lanes = connections.map(({ from, to }) => {
    const [source, target] = [slots.get(from), slots.get(to)];
    const passed: Slot[] = [];
    if (!source || !target) return passed;
    let last = source;
    for (let depth = (depths.get(from) ?? 0) + 1; depth < (depths.get(to) ?? 0); depth++) {
      const lane = add({ id: '', width: LANE, height: 0 }, depth);
      connect(last, lane);
      passed.push(lane);
      last = lane;
    }
    connect(last, target);
    return passed;
  });
  for (let sweep = 0; sweep < SWEEPS; sweep++) orderLayers(layers, sweep % 2 === 0);
  for (const layer of layers)
    pack(
      layer,
      layer.map(() => 0),
    );
  for (let sweep = 0; sweep < SWEEPS; sweep++) alignLayers(layers, sweep % 2 === 0);
  return measured(layers, slots, lanes);
}

function connect(above: Slot, below: Slot): void {
  above.below.push(below);
  below.above.push(above);
}

/** Longest way from a start to each node. */
function depthsOf(nodes: readonly Node[], connections: readonly Connection[]): Map<string, number> {
  const depths = new Map(nodes.map(({ id }) => [id, 0]));
  // A way has fewer edges than there are nodes.
  for (let round = 0, moved = true; moved && round < nodes.length; round++) {
    moved = false;
    for (const { from, to } of connections) {
      const depth = (depths.get(from) ?? 0) + 1;
      if (depth <= (depths.get(to) ?? depth)) continue;
      depths.set(to, depth);
      moved = true;
    }
  }
  return depths;
}

/** Sorts each layer by the mean place of its neighbours in the layer before, from the top down or from the bottom up. */
function orderLayers(layers: Slot[][], down: boolean): void {
  for (const layer of down ? layers : [...layers].reverse()) {
    const key = new Map(layer.map((slot) => [slot, meanX(down ? slot.above : slot.below, slot.x)]));
    layer.sort((one, other) => (key.get(one) ?? 0) - (key.get(other) ?? 0));
    for (const [index, slot] of layer.entries()) slot.x = index - (layer.length - 1) / 2;
  }
}

function alignLayers(layers: readonly Slot[][], down: boolean): void {
  for (const layer of down ? layers : [...layers].reverse())
    pack(
      layer,
      layer.map((slot) => meanX(down ? slot.above : slot.below, slot.x)),
    );
}

function meanX(neighbours: readonly Slot[], otherwise: number): number {
  if (neighbours.length === 0) return otherwise;
  return neighbours.reduce((sum, { x }) => sum + x, 0) / neighbours.length;
}

/** Puts slots as near as possible to where they want to be (least squares), in their order and with the gaps between them. */
function pack(layer: readonly Slot[], wanted: readonly number[]): void {
  // Measured from where each would stand if all were packed to the left, places must not fall: pools of neighbours share their mean.
  const offsets: number[] = [];
  const pools: { sum: number; count: number }[] = [];
  for (const [index, slot] of layer.entries()) {
    const before = layer[index - 1];
    const offset = before ? (offsets[index - 1] ?? 0) + (before.width + slot.width) / 2 + GAP : 0;
    offsets.push(offset);
    let pool = { sum: (wanted[index] ?? 0) - offset, count: 1 };
    for (let last = pools.at(-1); last && last.sum / last.count > pool.sum / pool.count;) {
      pool = { sum: pool.sum + last.sum, count: pool.count + last.count };
      pools.pop();
      last = pools.at(-1);
    }
    pools.push(pool);
  }
  const shifts = pools.flatMap(({ sum, count }) =>
    Array.from({ length: count }, () => sum / count),
  );
  for (const [index, slot] of layer.entries())
    slot.x = (shifts[index] ?? 0) + (offsets[index] ?? 0);
}

function measured(
  layers: readonly Slot[][],
  slots: ReadonlyMap<string, Slot>,
  lanes: readonly (readonly Slot[])[],
): Placement {
  const all = layers.flat();
  const left = Math.min(0, ...all.map(({ x, width }) => x - width / 2));
  const right = Math.max(0, ...all.map(({ x, width }) => x + width / 2));
  const tops = new Map<Slot, { top: number; bottom: number; y: number }>();
  let y = 0;
  for (const layer of layers) {
    const height = Math.max(0, ...layer.map((slot) => slot.height));
    for (const slot of layer)
      tops.set(slot, { top: y, bottom: y + height, y: y + (height - slot.height) / 2 });
    y += height + LAYER_GAP;
  }
  const place = (slot: Slot, side: 'top' | 'bottom' | 'y'): Place => ({
    x: Math.round(slot.x - left),
    y: Math.round(tops.get(slot)?.[side] ?? 0),
  });
  return {
    width: Math.ceil(right - left),
    height: Math.max(0, y - LAYER_GAP),
    places: new Map([...slots].map(([id, slot]) => [id, place(slot, 'y')])),
    bends: lanes.map((passed) =>
      passed.flatMap((lane) => [place(lane, 'top'), place(lane, 'bottom')]),
    ),
  };
}
