import { pushPullMs, retransmits, suspicionBounds } from '../../gossip/core/formulas.js';
import type { Profile } from '../../gossip/core/profile.js';

/** Both kinds of agents give up saying goodbye after 5 s; Serf's waits a second more for it to spread. */
const GOODBYE_MS = 6000;
/** Between two looks at the lists, and for the looks themselves, each of which is a process of its own. */
export const LOOK_EVERY_MS = 500;
const LOOKING_MS = 3000;

/** Within how long every list must be right, ms: the worst case of the protocol's own times. */
export interface Bounds {
  readonly joinMs: number;
  readonly leaveMs: number;
  readonly failMs: number;
}

/**
 * Words spread while they are passed on, twice as long with bad luck; whom they miss hears by the next exchange that it makes itself. Death: the walk of a member has
 * just passed the dead one and puts it last in its next round, the probe lasts one interval, and nobody confirms the suspicion.
 */
export function boundsOf(profile: Profile, members: number): Bounds {
  const { probeIntervalMs, gossipIntervalMs } = profile;
  const spreadMs = 2 * retransmits(profile, members) * gossipIntervalMs;
  const heardMs = spreadMs + pushPullMs(profile, members) + LOOKING_MS;
  const walkMs = (2 * (members - 1) - 1) * probeIntervalMs;
  const { longestMs } = suspicionBounds(profile, members);
  return {
    joinMs: heardMs,
    leaveMs: GOODBYE_MS + heardMs,
    failMs: walkMs + probeIntervalMs + longestMs + spreadMs + LOOKING_MS,
  };
}
