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

/** What all that are alive understand: told of each of them first, it then says who speaks something else. `protocol` and `delegate` each have a least, a most and one in use, in this order. */
export class Understood {
  readonly #protocol: Range = { least: 0, most: 255 };
  readonly #delegate: Range = { least: 0, most: 255 };
  /** One for each that is spoken: of ten thousand members few differ. */
  readonly #speakers = new Map<number, Versioned>();

  by(member: Versioned): void {
    const { state, versions } = member;
    const spoken = spokenKey(versions);
    if (!this.#speakers.has(spoken)) this.#speakers.set(spoken, member);
    if (state !== 'alive') return;
    narrow(this.#protocol, versions[0], versions[1]);
    narrow(this.#delegate, versions[3], versions[4]);
  }

  /** Who is not understood by every other one, and why; undefined = all are. */
  get problem(): string | undefined {
    for (const { name, versions } of this.#speakers.values()) {
      const [, , spoken = 0, , , meant = 0] = versions;
      if (!includes(this.#protocol, spoken))
        return problemOf(name, 'protocol', spoken, this.#protocol);
      if (!includes(this.#delegate, meant))
        return problemOf(name, 'delegate protocol', meant, this.#delegate);
    }
    return undefined;
  }
}

/** Of what is in use of both protocols. */
function spokenKey(versions: Versions): number {
  return ((versions[2] ?? 0) << 8) | (versions[5] ?? 0);
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
