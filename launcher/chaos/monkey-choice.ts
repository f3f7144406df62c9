import type { FaultKind } from './fault-kind.js';
import type { FaultPlan } from './faults.js';
import { weighted, wholeBetween } from '../../runtime/seeded-random.js';
import type { Random } from '../../runtime/seeded-random.js';
import { ZOOKEEPER } from './targets.js';
import type { Target } from './targets.js';

/** What the monkey does next, and for how long. */
export interface MonkeyMove {
  readonly plan: FaultPlan;
  readonly target: Target;
  /** Absent: it passes by itself. */
  readonly forMs?: number;
}

export interface MonkeyRules {
  readonly kinds: readonly FaultKind[];
  /** Names of members that are never killed. */
  readonly spared: ReadonlySet<string>;
  readonly sessionTimeoutMs: number;
}

/** Who can be hit now. */
export interface Jungle {
  /** In an order that doesn't depend on what happened before. */
  readonly targets: readonly Target[];
  /** Names that have a fault already, or are not back from one. */
  readonly busy: ReadonlySet<string>;
  /** Servers of ZooKeeper that aren't well: with more than one of three there is no quorum. */
  readonly serversDown: number;
  readonly servers: number;
}

/** How often each is done, in shares. Killing is what happens most. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  kill: 5,
  pause: 3,
  'expire-session': 2,
  'fill-disk': 2,
  slow: 2,
  partition: 2,
};
const ON_SERVERS: ReadonlySet<FaultKind> = new Set(['kill', 'pause', 'slow', 'partition']);
const SHORTEST_MS = 200;
const DISK_MS = [300, 1500] as const;

/** Chooses a member, then what happens to it. Undefined where nobody can be hit. */
export function chooseMove(
  random: Random,
  rules: MonkeyRules,
  jungle: Jungle,
): MonkeyMove | undefined {
  const open = jungle.targets.filter((target) => !jungle.busy.has(target.name));
  const moves = open
    .map((target) => ({ target, kinds: kindsFor(target, rules, jungle) }))
    .filter(({ kinds }) => kinds.length > 0);
  const chosen = weighted(
    random,
    moves.map((move) => [move, 1]),
  );
  if (!chosen) return undefined;
  const kind = weighted(
    random,
    chosen.kinds.map((one) => [one, WEIGHTS[one]]),
  );
  return kind && moveOf(random, kind, chosen.target, rules);
}

function kindsFor(target: Target, rules: MonkeyRules, jungle: Jungle): FaultKind[] {
  const isServer = target.type === ZOOKEEPER;
  const spare = Math.floor((jungle.servers - 1) / 2);
  if (isServer && jungle.serversDown >= spare) return [];
  return rules.kinds.filter((kind) => {
    if (isServer) return ON_SERVERS.has(kind);
    if (kind === 'kill') return !rules.spared.has(target.name);
    return kind !== 'fill-disk' || target.type === 'storage';
  });
}

function moveOf(
  random: Random,
  kind: FaultKind,
  target: Target,
  { sessionTimeoutMs }: MonkeyRules,
): MonkeyMove {
  // Sometimes longer than the session lives, sometimes not.
  const forMs = wholeBetween(random, SHORTEST_MS, Math.round(1.5 * sessionTimeoutMs));
  switch (kind) {
    case 'kill':
    case 'expire-session':
      return { plan: { kind }, target };
    case 'fill-disk':
      return { plan: { kind }, target, forMs: wholeBetween(random, ...DISK_MS) };
    case 'pause':
      return { plan: { kind }, target, forMs };
    case 'slow': {
      const how = { bitsPerSecond: 1e6 * wholeBetween(random, 1, 20), loss: 0.02 };
      return { plan: { kind, how }, target, forMs };
    }
    case 'partition': {
      const from = [undefined, ['nodes'], ['zookeeper']][wholeBetween(random, 0, 2)];
      const oneWay = random() < 0.3;
      return { plan: { kind, from, oneWay }, target, forMs };
    }
  }
}
