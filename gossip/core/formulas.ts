import type { Profile } from './profile.js';

/** Formulas of memberlist, pure. `members` counts those that are dead and not forgotten yet, too. */

/** Shortest time that a suspect has to answer back, ms. */
export function shortestSuspicionMs(profile: Profile, members: number): number {
  const { suspicionMultiplier, probeIntervalMs } = profile;
  return suspicionMultiplier * Math.max(1, Math.log10(Math.max(1, members))) * probeIntervalMs;
}

/** Confirmations by others that bring a suspicion to its shortest. Fewer members than can give them: none is waited for. */
function wantedConfirmations({ suspicionMultiplier }: Profile, members: number): number {
  const wanted = suspicionMultiplier - 2;
  return members - 2 < wanted ? 0 : Math.max(0, wanted);
}

/** How long a suspicion lasts in all that so many others have confirmed (Lifeguard: the more, the shorter), ms. */
export function suspicionMs(
  { shortestMs, longestMs, wanted }: SuspicionBounds,
  confirmations: number,
): number {
  if (wanted < 1) return shortestMs;
  const share = Math.log(confirmations + 1) / Math.log(wanted + 1);
  const timeoutMs = Math.floor(longestMs - share * (longestMs - shortestMs));
  return Math.max(shortestMs, timeoutMs);
}

export interface SuspicionBounds {
  readonly shortestMs: number;
  readonly longestMs: number;
  readonly wanted: number;
}

export function suspicionBounds(profile: Profile, members: number): SuspicionBounds {
  const shortestMs = shortestSuspicionMs(profile, members);
  const wanted = wantedConfirmations(profile, members);
  return { shortestMs, longestMs: shortestMs * profile.suspicionMaxMultiplier, wanted };
}

/** How often a rumour is passed on. */
export function retransmits({ retransmitMultiplier }: Profile, members: number): number {
  return retransmitMultiplier * Math.ceil(Math.log10(members + 1));
}

const PUSH_PULL_MEMBERS = 32;

/** Time between two exchanges of all that is known: longer in large clusters, where each costs more. */
export function pushPullMs({ pushPullIntervalMs }: Profile, members: number): number {
  if (members <= PUSH_PULL_MEMBERS) return pushPullIntervalMs;
  const times = Math.ceil(Math.log2(members) - Math.log2(PUSH_PULL_MEMBERS)) + 1;
  return times * pushPullIntervalMs;
}

/**
 * When the first member declares a crashed one dead, ms, on average: a probe interval until somebody's next probe falls on it (each member probes one other per interval, so that
 * pings reach a member once per interval on average, at times that know nothing of each other), one for that probe to fail, and the shortest suspicion, as others confirm it meanwhile.
 */
export function firstDetectionMs(profile: Profile, members: number): number {
  return 2 * profile.probeIntervalMs + shortestSuspicionMs(profile, members);
}

/** When the last member knows it, ms: rumours reach (1 + gossipMembers) times as many each gossip interval. */
export function fullDetectionMs(profile: Profile, members: number): number {
  const rounds = Math.log(members) / Math.log(1 + profile.gossipMembers);
  return firstDetectionMs(profile, members) + rounds * profile.gossipIntervalMs;
}
