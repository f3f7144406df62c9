import { closest } from '../../runtime/suggestion.js';
import { invalidArgument } from '../../runtime/errors.js';
import type { RecordedNetwork } from '../run-file.js';
import type { GROUPS, LinkFault } from './link-faults.js';

/** One of the switch's own tables, so that nothing but our rules is replaced. */
const TABLE = 'bridge fractory_faults';
/** Loss is drawn in this many parts. */
const LOSS_PARTS = 1_000_000;

type Group = (typeof GROUPS)[number];

/** Fails with INVALID_ARGUMENT unless all names have links of their own. */
export function checkNames(
  field: string,
  names: readonly string[],
  known: readonly string[],
): void {
  for (const name of names) {
    if (known.includes(name)) continue;
    const near = closest(name, known);
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
    throw invalidArgument(
      field,
      `${name} has no link of its own${hint}; there are ${known.join(', ')}`,
      'UNKNOWN_LINK',
    );
  }
}

/** Addresses of a member, a server or a group. */
export function addressesOf(party: string, network: RecordedNetwork): readonly string[] {
  const { links, coordinatorAddress, driverAddress } = network;
  const ofKind = (kind: string): string[] =>
    links.filter((link) => link.kind === kind).map(({ address }) => address);
  switch (party as Group) {
    case 'nodes':
      return ofKind('node');
    case 'clients':
      return [driverAddress];
    case 'zookeeper': {
      const servers = ofKind('zookeeper');
      return servers.length > 0 ? servers : [coordinatorAddress];
    }
    default:
      return links.filter(({ name }) => name === party).map(({ address }) => address);
  }
}

/**
 * What the switch drops, for nft: takes the place of all that it dropped before, at once. Packets are dropped in the middle, where neither end can tell it from a
 * broken wire.
 */
export function linkRules(faults: readonly LinkFault[], network: RecordedNetwork): string {
  const rules = faults.flatMap((fault) => rulesOf(fault, network));
  const forget = `table ${TABLE}\ndelete table ${TABLE}\n`;
  if (rules.length === 0) return forget;
  const chain = ['type filter hook forward priority 0; policy accept;', ...rules];
  return `${forget}table ${TABLE} {\n chain forward {\n  ${chain.join('\n  ')}\n }\n}\n`;
}

/** Whether the switch has to drop something for it. */
export function dropsPackets(fault: LinkFault): boolean {
  return fault.kind === 'cut' || fault.loss !== undefined;
}

function rulesOf(fault: LinkFault, network: RecordedNetwork): string[] {
  if (fault.kind === 'slow') {
    if (fault.loss === undefined) return [];
    const part = String(Math.max(1, Math.round(fault.loss * LOSS_PARTS)));
    const lost = `numgen random mod ${String(LOSS_PARTS)} < ${part} counter drop`;
    const address = addressesOf(fault.member, network).join();
    return [`ip saddr ${address} ${lost}`, `ip daddr ${address} ${lost}`];
  }
  const [near, far] = sidesOf(fault, network).map((side) => `{ ${side.join(', ')} }`);
  const there = `ip saddr ${near ?? ''} ip daddr ${far ?? ''} counter drop`;
  const back = `ip saddr ${far ?? ''} ip daddr ${near ?? ''} counter drop`;
  return fault.oneWay ? [there] : [there, back];
}

/** Addresses on both sides of a cut. */
export function sidesOf(
  cut: Pick<Extract<LinkFault, { kind: 'cut' }>, 'members' | 'from'>,
  network: RecordedNetwork,
): readonly [near: readonly string[], far: readonly string[]] {
  const { links, coordinatorAddress, driverAddress } = network;
  const near = cut.members.flatMap((member) => addressesOf(member, network));
  const others = cut.from
    ? cut.from.flatMap((party) => addressesOf(party, network))
    : [driverAddress, coordinatorAddress, ...links.map(({ address }) => address)];
  return [near, [...new Set(others)].filter((address) => !near.includes(address))];
}
