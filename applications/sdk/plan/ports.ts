import type { Place } from './layers.js';

/** Between edges that reach the same box. */
const PORT_ROOM = 58;

interface Box {
  readonly width: number;
  readonly height: number;
}

/** An edge, also those to the end of a level. */
export interface DrawnEdge {
  readonly from: string;
  readonly to: string;
  readonly argument: string;
  readonly onFailure: boolean;
}

export interface Routes {
  readonly places: ReadonlyMap<string, Place>;
  readonly drawings: ReadonlyMap<string, Box>;
  readonly edges: readonly DrawnEdge[];
  readonly bends: readonly (readonly Place[])[];
}

/** Where edges leave and reach their boxes: side by side, in the order of where they go next. */
export class Ports {
  readonly #out = new Map<DrawnEdge, Place>();
  readonly #into = new Map<DrawnEdge, Place>();

  constructor({ places, drawings, edges, bends }: Routes) {
    const xOf = (id: string): number => places.get(id)?.x ?? 0;
    const next = new Map(
      edges.map((edge, index) => {
        const route = bends[index] ?? [];
        return [edge, { from: route[0]?.x ?? xOf(edge.to), to: route.at(-1)?.x ?? xOf(edge.from) }];
      }),
    );
    for (const end of ['from', 'to'] as const)
      for (const [id, beside] of grouped(edges, end)) {
        const { x, y } = places.get(id) ?? { x: 0, y: 0 };
        const { width = 0, height = 0 } = drawings.get(id) ?? {};
        const room = Math.min(PORT_ROOM * (beside.length + 1), width * 0.95);
        beside.sort((one, other) => (next.get(one)?.[end] ?? 0) - (next.get(other)?.[end] ?? 0));
        for (const [index, edge] of beside.entries()) {
          const portX = Math.round(x + ((index + 1) / (beside.length + 1) - 0.5) * room);
          if (end === 'from') this.#out.set(edge, { x: portX, y: y + height });
          else this.#into.set(edge, { x: portX, y });
        }
      }
  }

  outOf(edge: DrawnEdge): Place {
    return this.#out.get(edge) ?? { x: 0, y: 0 };
  }

  into(edge: DrawnEdge): Place {
    return this.#into.get(edge) ?? { x: 0, y: 0 };
  }
}

function grouped(edges: readonly DrawnEdge[], end: 'from' | 'to'): Map<string, DrawnEdge[]> {
  const groups = new Map<string, DrawnEdge[]>();
  for (const edge of edges) {
    const group = groups.get(edge[end]);
    if (group) group.push(edge);
    else groups.set(edge[end], [edge]);
  }
  return groups;
}
