import type { ChaosEvent } from './events.js';

/** From, until; ms of the experiment. */
export type Span = readonly [fromMs: number, untilMs: number];

/** A row of the picture. */
export interface MemberLine {
  readonly name: string;
  /** While it was registered; a server of ZooKeeper isn't. */
  readonly here: readonly Span[];
  readonly leads: readonly Span[];
}

/** Spans of one thing that begins and ends again and again. */
class Spans {
  readonly #spans: Span[] = [];
  #sinceMs: number | undefined;

  begin(atMs: number): void {
    this.#sinceMs ??= atMs;
  }

  end(atMs: number): void {
    if (this.#sinceMs !== undefined) this.#spans.push([this.#sinceMs, atMs]);
    this.#sinceMs = undefined;
  }

  all(endMs: number): readonly Span[] {
    this.end(endMs);
    return this.#spans;
  }
}

/** Everybody who was there or was hit, by type and name, with when they were registered and led. */
export function membersOf(events: readonly ChaosEvent[], endMs: number): MemberLine[] {
  const here = new Map<string, Spans>();
  const leads = new Map<string, Spans>();
  /** Of each life that is registered. */
  const lives = new Map<string, Set<string>>();
  /** Of each type that has one. */
  const leaders = new Map<string, { member: string; epoch: string }>();
  const join = (member: string, epoch: string, atMs: number): void => {
    entry(lives, member, () => new Set()).add(epoch);
    entry(here, member, () => new Spans()).begin(atMs);
  };
  const lead = (type: string, member: string, epoch: string, atMs: number): void => {
    const before = leaders.get(type);
    if (before) leads.get(before.member)?.end(atMs);
    leaders.set(type, { member, epoch });
    entry(leads, member, () => new Spans()).begin(atMs);
  };
  for (const event of events)
    switch (event.event) {
      case 'began':
        for (const { member, type, epoch, leader } of event.members) {
          join(member, epoch, 0);
          if (leader) lead(type, member, epoch, 0);
        }
        break;
      case 'joined':
        join(event.member, event.epoch, event.atMs);
        break;
      case 'left': {
        const { member, type, epoch, atMs } = event;
        const left = lives.get(member);
        left?.delete(epoch);
        if (left?.size === 0) here.get(member)?.end(atMs);
        if (leaders.get(type)?.epoch === epoch) {
          leads.get(member)?.end(atMs);
          leaders.delete(type);
        }
        break;
      }
      case 'leads':
        lead(event.type, event.member, event.epoch, event.atMs);
        break;
      case 'fault':
        entry(here, event.target, () => new Spans());
        break;
      default:
    }
  const names = [...here.keys()].sort((one, other) =>
    one.localeCompare(other, 'en', { numeric: true }),
  );
  return names.map((name) => ({
    name,
    here: here.get(name)?.all(endMs) ?? [],
    leads: leads.get(name)?.all(endMs) ?? [],
  }));
}

function entry<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
