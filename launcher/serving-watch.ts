import { sleep } from '../runtime/deadline.js';
import type { Coordinator } from '../zookeeper/coordinator.js';
import type { HealthProbe } from './health-probe.js';
import { describeMember } from './member-status.js';
import type { KnownProcess, MemberStatus } from './member-status.js';

export interface ServingWatch {
  readonly coordinator: Coordinator;
  readonly probe: HealthProbe;
  /** Who has to be there. A member counts only in this life: one left over from an earlier life has another pid. */
  readonly expected: readonly KnownProcess[];
  readonly signal: AbortSignal;
  /** A member serves now; `waiting` are those that don't yet. */
  readonly onServing: (member: string, waiting: readonly string[]) => void;
}

const LOOK_MS = 50;
const PROBE_TIMEOUT_MS = 1000;

/** `math-2` before `math-10`. */
const byNumber = new Intl.Collator('en', { numeric: true }).compare;

/** Resolves when every expected member is registered and says that it is SERVING. */
export async function allServing(watch: ServingWatch): Promise<MemberStatus[]> {
  const waiting = new Map(watch.expected.map((known) => [known.name, known.pid]));
  while (waiting.size > 0) {
    const registered = watch.coordinator.members().filter(({ id, pid }) => waiting.get(id) === pid);
    const states = await Promise.all(
      registered.map(({ address }) => watch.probe.check(address, PROBE_TIMEOUT_MS)),
    );
    registered.forEach(({ id }, index) => {
      if (states[index] !== 'SERVING') return;
      waiting.delete(id);
      watch.onServing(id, [...waiting.keys()].sort(byNumber));
    });
    if (waiting.size > 0) await sleep(LOOK_MS, watch.signal);
  }
  const members = watch.coordinator.members();
  return members.map((member) => describeMember(member, members, 'SERVING'));
}
