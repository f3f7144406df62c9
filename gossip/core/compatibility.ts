import type { Versions } from '../wire/messages.js';
import type { MemberState } from './member.js';

interface Versioned {
  readonly name: string;
  readonly state: MemberState;
  readonly versions: Versions;
}

interface Range {
  least: number;
  most: number;
}

/**
 * Why two sides can't be one cluster: what somebody speaks is not understood by every member that is alive. Undefined = they can. `protocol` and `delegate` each have a least, a most and
 * one in use, in this order.
 */
export function incompatibility(sides: readonly Iterable<Versioned>[]): string | undefined {
  const protocol: Range = { least: 0, most: 255 };
  const delegate: Range = { least: 0, most: 255 };
  for (const side of sides)
    for (const { state, versions } of side) {
      if (state !== 'alive') continue;
      narrow(protocol, versions[0], versions[1]);
      narrow(delegate, versions[3], versions[4]);
    }
  for (const side of sides)
    for (const { name, versions } of side) {
      const [, , spoken = 0, , , meant = 0] = versions;
      if (!includes(protocol, spoken)) return problemOf(name, 'protocol', spoken, protocol);
      if (!includes(delegate, meant)) return problemOf(name, 'delegate protocol', meant, delegate);
    }
  return undefined;
}

function narrow(range: Range, least = 0, most = 0): void {
  range.least = Math.max(range.least, least);
  range.most = Math.min(range.most, most);
}

function includes({ least, most }: Range, version: number): boolean {
  return version >= least && version <= most;
}

function problemOf(name: string, what: string, version: number, { least, most }: Range): string {
  return `member ${name} speaks ${what} version ${String(version)}, all that are alive understand ${String(least)} to ${String(most)}`;
}
