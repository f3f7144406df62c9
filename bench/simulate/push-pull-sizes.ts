import type { MemberView } from '../../gossip/core/member.js';
import { memberBytes } from '../../gossip/simulator/traffic.js';
import { seededRandom } from '../../runtime/seeded-random.js';

/** Bytes of a member in an exchange of all, with headers left aside. */
export interface EntrySize {
  readonly what: string;
  readonly raw: number;
  readonly packed: number;
}

const SERF_VERSIONS = Uint8Array.of(1, 5, 2, 2, 5, 5);
const PORT = 7946;

/** What an entry takes on the wire, by what names and tags look like and by the order that they stand in. */
export function entrySizes(members: number): EntrySize[] {
  const random = seededRandom(1);
  const hex = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const names = Array.from({ length: members }, (_, place) => `member-${String(place)}`);
  const hosts = names.map(() => `edge-${hex()}`);
  const tagged = (place: number): Uint8Array =>
    Buffer.from(
      `\u0085role=storage,dc=site-${String(place % 20)},build=1.4.2,load=0.${String(place % 100)},id=${hex()}`,
      'latin1',
    );
  const views = (of: readonly string[], meta: (place: number) => Uint8Array): MemberView[] =>
    of.map((name, place) => viewOf(name, place, meta(place)));
  const none = (): Uint8Array => new Uint8Array();
  const mixed = <T>(items: readonly T[]): T[] =>
    items
      .map((item) => ({ item, at: random() }))
      .sort((one, other) => one.at - other.at)
      .map(({ item }) => item);
  const byName = (of: readonly MemberView[]): MemberView[] =>
    [...of].sort((one, other) => (one.name < other.name ? -1 : 1));
  return [
    { what: 'numbered names, as they joined', ...memberBytes(mixed(views(names, none))) },
    { what: 'numbered names, sorted', ...memberBytes(views(names, none)) },
    { what: 'random names, as they joined', ...memberBytes(mixed(views(hosts, none))) },
    { what: 'random names, sorted', ...memberBytes(byName(views(hosts, none))) },
    { what: 'random names, 5 tags, as they joined', ...memberBytes(mixed(views(hosts, tagged))) },
    { what: 'random names, 5 tags, sorted', ...memberBytes(byName(views(hosts, tagged))) },
  ];
}

function viewOf(name: string, place: number, meta: Uint8Array): MemberView {
  const address = Uint8Array.of(10, place >>> 16, (place >>> 8) & 255, place & 255);
  return {
    ...{ name, address, port: PORT, meta, versions: SERF_VERSIONS },
    incarnation: 1,
    state: 'alive',
    since: 0,
  };
}
