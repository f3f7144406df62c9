import type { Profile } from '../../gossip/core/profile.js';
import { boundsOf } from './bounds.js';
import type { Peer, Shown } from './peer.js';
import type { Watch } from './watch.js';

/** What is done to one agent, and how all others are to show it then. */
export interface Step {
  readonly peer: Peer;
  readonly verb: 'starts' | 'joins late' | 'is killed' | 'comes back' | 'leaves' | 'is restarted';
}

/** What became of a step. */
export interface StepOutcome {
  readonly atMs: number;
  readonly what: string;
  readonly expected: Shown;
  readonly boundMs: number;
  /** Until the first, and until every agent showed it so. */
  readonly firstMs?: number;
  readonly allMs?: number;
}

const becomes: Readonly<Record<Step['verb'], Shown>> = {
  ...{ starts: 'alive', 'joins late': 'alive', 'comes back': 'alive', 'is restarted': 'alive' },
  ...{ 'is killed': 'failed', leaves: 'left' },
};

/** Each kind is killed, leaves, comes back and is restarted; one comes late. Short: what takes no more than half a minute. */
export function stepsOf(ours: readonly Peer[], theirs: readonly Peer[], isShort: boolean): Step[] {
  const [one, two] = pair(ours);
  const [seed, other, late] = [...theirs, ...theirs] as [Peer, Peer, Peer];
  const begin: Step[] = [seed, one, two, other].map((peer) => ({ peer, verb: 'starts' }));
  const short: Step[] = [
    { peer: late, verb: 'joins late' },
    { peer: other, verb: 'is killed' },
    { peer: other, verb: 'comes back' },
    { peer: late, verb: 'leaves' },
    { peer: one, verb: 'is restarted' },
    { peer: two, verb: 'leaves' },
  ];
  if (isShort) return [...begin, ...short];
  return [
    ...begin,
    ...short.slice(0, 3),
    { peer: two, verb: 'is killed' },
    { peer: two, verb: 'comes back' },
    { peer: late, verb: 'leaves' },
    { peer: late, verb: 'comes back' },
    { peer: one, verb: 'leaves' },
    { peer: one, verb: 'comes back' },
    { peer: seed, verb: 'is restarted' },
    { peer: two, verb: 'is restarted' },
    { peer: seed, verb: 'is killed' },
  ];
}

/** Takes one step and watches until every list shows it, or the bound of the profile is over. */
export async function take(
  { peer, verb }: Step,
  peers: readonly Peer[],
  watch: Watch,
  profile: Profile,
): Promise<StepOutcome> {
  const expected = becomes[verb];
  const atMs = watch.nowMs;
  watch.begin(peer.name, expected);
  const bounds = boundsOf(profile, watch.members);
  if (verb === 'is killed' || verb === 'is restarted') await peer.kill();
  if (verb === 'leaves') await peer.leave();
  else if (verb !== 'is killed') await peer.start(seedFor(peer, peers));
  const boundMs = boundFor(expected, bounds);
  const seen = await watch.settled(peer.name, boundMs);
  return { atMs, what: `${peer.name} ${verb}`, expected, boundMs, ...seen };
}

function boundFor(
  expected: Shown,
  { joinMs, leaveMs, failMs }: ReturnType<typeof boundsOf>,
): number {
  if (expected === 'alive') return joinMs;
  return expected === 'left' ? leaveMs : failMs;
}

/** Any other that runs: of the other kind first. */
function seedFor(peer: Peer, peers: readonly Peer[]): string | undefined {
  const others = peers.filter((other) => other !== peer && other.isRunning);
  return (others.find(({ kind }) => kind !== peer.kind) ?? others[0])?.address;
}

function pair([one, two]: readonly Peer[]): [Peer, Peer] {
  if (!one || !two) throw new Error('two agents of ours are needed');
  return [one, two];
}
