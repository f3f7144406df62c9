import { z } from 'zod';

import { messageOf } from '../runtime/errors.js';
import type { Member, MemberRecord } from './coordinator.js';
import { parseEpochBase } from './epoch-base.js';

/** Pure functions over members and the znodes that stand for them. */

const recordSchema = z.object({
  id: z.string().min(1),
  type: z.string().min(1),
  address: z.string(),
  metricsAddress: z.string(),
  dataAddress: z.string(),
  gossipAddress: z.string().optional(),
  pid: z.number(),
  instance: z.string(),
  version: z.string(),
  startedAt: z.string(),
  routing: z.enum(['leader', 'any']),
});

/** Name of a znode as the server makes it: the member id, a hyphen, ten digits. */
const NAME = /^(.+)-(\d{10})$/;

export interface ZnodeName {
  readonly name: string;
  readonly id: string;
  readonly sequence: number;
}

/** Undefined for a name that no member has. */
export function parseName(name: string): ZnodeName | undefined {
  const match = NAME.exec(name);
  return match?.[1] === undefined ? undefined : { name, id: match[1], sequence: Number(match[2]) };
}

/** The name of the znode that stands for a member. */
export function nameOf({ id, sequence }: Pick<ZnodeName, 'id' | 'sequence'>): string {
  return `${id}-${String(sequence).padStart(10, '0')}`;
}

/** The names that stand for members, in the order of their registration. */
export function orderNames(names: readonly string[]): ZnodeName[] {
  return names
    .map(parseName)
    .filter((name) => name !== undefined)
    .sort((a, b) => a.sequence - b.sequence);
}

/** The name just before `own`: undefined if `own` leads. */
export function predecessorOf(names: readonly string[], own: string): string | undefined {
  const ordered = orderNames(names);
  return ordered[ordered.findIndex(({ name }) => name === own) - 1]?.name;
}

export function encodeRecord(record: MemberRecord): string {
  return JSON.stringify(recordSchema.parse(record));
}

/** As it stands in a znode: what the member says of itself, and what its czxid counts from (`epoch-base.ts`). */
export function encodeZnode(record: MemberRecord, epochBase: bigint): string {
  return JSON.stringify({ ...recordSchema.parse(record), epochBase: String(epochBase) });
}

/** Epoch of the registration that a znode stands for. */
export function epochOf(data: string, czxid: bigint): bigint {
  const parsed = z.looseObject({ epochBase: z.string() }).safeParse(parseJson(data));
  const base = parsed.success ? parseEpochBase(parsed.data.epochBase) : undefined;
  return (base ?? 0n) + czxid;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a member said of itself, or an error text where it can't be read. */
export function decodeRecord(text: string): MemberRecord | string {
  try {
    const parsed = recordSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : z.prettifyError(parsed.error);
  } catch (error) {
    return messageOf(error);
  }
}

/** All members in the order that `Coordinator.members` promises: type, then sequence. */
export function orderMembers(members: Iterable<Member>): readonly Member[] {
  return [...members].sort((a, b) =>
    a.type === b.type ? a.sequence - b.sequence : a.type < b.type ? -1 : 1,
  );
}

/** Are these the same registrations? An epoch is never used twice. */
export function sameMembers(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member, index) => member.epoch === b[index]?.epoch);
}

/** A registration that stands for our member id. */
export interface Standing {
  readonly name: string;
  readonly epoch: bigint;
  /** Session that owns it. */
  readonly owner: bigint;
  readonly sequence: number;
}

export interface RegistrationPlan {
  /** Names of earlier lives: to be removed. */
  readonly remove: readonly string[];
  /** `keep`: we are registered. `create`: we are not. `yield`: a later life of the same member is registered. */
  readonly action:
    | { readonly kind: 'keep'; readonly standing: Standing }
    | { readonly kind: 'create' }
    | { readonly kind: 'yield'; readonly to: string };
}

/**
 * What to do about the registrations that carry our member id. A new process removes what an earlier life left behind; a
 * process whose session was lost yields to one that registered after it: the later life wins, and two never fight.
 * Whoever owns two (a create whose answer was lost, done again) keeps the older.
 *
 * @param lastEpoch epoch of our own latest registration; undefined before the first
 * @param aboveEpoch registrations of our own up to this epoch are to be left for a later one
 */
export function planRegistration(
  standings: readonly Standing[],
  owner: bigint,
  lastEpoch: bigint | undefined,
  aboveEpoch = 0n,
): RegistrationPlan {
  const ours = standings
    .filter((standing) => standing.owner === owner)
    .sort((a, b) => a.sequence - b.sequence);
  const own = ours.filter(({ epoch }) => epoch > aboveEpoch);
  const left = ours.filter(({ epoch }) => epoch <= aboveEpoch);
  const others = standings.filter((standing) => standing.owner !== owner);
  const [kept, ...doubles] = own;
  const bound = kept?.epoch ?? lastEpoch;
  const later = others.find(({ epoch }) => bound !== undefined && epoch > bound);
  const earlier = others.filter((other) => bound === undefined || other.epoch < bound);
  const remove = [...left, ...doubles, ...earlier].map(({ name }) => name);
  if (later && kept) return { remove: [...remove, kept.name], action: yieldTo(later) };
  if (later) return { remove, action: yieldTo(later) };
  return { remove, action: kept ? { kind: 'keep', standing: kept } : { kind: 'create' } };
}

function yieldTo(later: Standing): RegistrationPlan['action'] {
  return { kind: 'yield', to: later.name };
}
