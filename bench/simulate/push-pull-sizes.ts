import type { MemberView } from '../../gossip/core/member.js';
import { encodingState } from '../../gossip/serf/state.js';
import { encodeTags } from '../../gossip/serf/tags.js';
import { stateBytes } from '../../gossip/simulator/traffic.js';
import { seededRandom } from '../../runtime/seeded-random.js';

/** Bytes of a member in an exchange of all, with headers left aside. */
export interface EntrySize {
  readonly what: string;
  readonly raw: number;
  readonly packed: number;
  /** Packed, with the time of its last intent, which agents of Serf exchange as well. */
  readonly packedWithTime: number;
}

const SERF_VERSIONS = Uint8Array.of(1, 5, 2, 2, 5, 5);
const PORT = 7946;
const TYPES = ['edge', 'storage', 'math', 'cnn'];

/** What an entry takes on the wire, by what names and tags look like and by the order in which they joined. */
export function entrySizes(members: number): EntrySize[] {
  const random = seededRandom(1);
  const below = (limit: number): number => Math.floor(random() * limit);
  const hex = (): string =>
    below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const numbered = (place: number): MemberView => viewOf(`member-${String(place)}`, place);
  const named = (place: number): MemberView => viewOf(`edge-${hex()}`, place);
  const common = () => ({ dc: `site-${String(below(20))}`, version: '1.4.2' });
  const tagged = (place: number): MemberView => ({
    ...named(place),
    meta: encodeTags({
      ...{ role: 'edge', ...common(), load: String(10 * below(11)) },
      type: TYPES[below(TYPES.length)] ?? '',
    }),
  });
  const identified = (place: number): MemberView => ({
    ...named(place),
    meta: encodeTags({ role: 'storage', ...common(), load: `0.${String(below(100))}`, id: hex() }),
  });
  const sizes = (what: string, of: (place: number) => MemberView): EntrySize[] => {
    const views = Array.from({ length: members }, (_, place) => of(place));
    const drawn = views.map((view) => ({ view, at: random() }));
    const joined = drawn.sort((one, other) => one.at - other.at).map(({ view }) => view);
    const sorted = [...views].sort((one, other) => (one.name < other.name ? -1 : 1));
    return [
      { what: `${what}, as they joined`, ...sizesOf(joined, below) },
      { what: `${what}, sorted`, ...sizesOf(sorted, below) },
    ];
  };
  return [
    ...sizes('numbered names', numbered),
    ...sizes('random names', named),
    ...sizes('random names, 5 tags of few values', tagged),
    ...sizes('random names, 5 tags, one of them random', identified),
  ];
}

function viewOf(name: string, place: number): MemberView {
  const address = Uint8Array.of(10, place >>> 16, (place >>> 8) & 255, place & 255);
  return {
    ...{ name, address, port: PORT, meta: new Uint8Array(), versions: SERF_VERSIONS },
    incarnation: 1,
    state: 'alive',
    since: 0,
  };
}

function sizesOf(
  views: readonly MemberView[],
  below: (limit: number) => number,
): Omit<EntrySize, 'what'> {
  // Each joined at a time of its own, while nobody left.
  const statusTimes = new Map(views.map(({ name }) => [name, 1 + below(views.length)]));
  const steps = encodingState({
    ...{ time: views.length, statusTimes, left: [], eventTime: 1, events: [], queryTime: 1 },
    ours: new Uint8Array(),
  });
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  const all = stateBytes(views);
  return {
    raw: all.raw / views.length,
    packed: all.packed / views.length,
    packedWithTime: stateBytes(views, step.value).packed / views.length,
  };
}
