/**
 * Every knob of the protocol, as memberlist has them. The numbers are those of `lan`, `wan`, `local` and `fast`, or of all of them. All members of a cluster should have the same ones: what
 * they expect of each other follows from them.
 */
export interface Profile {
  /** Time between two probes of a member, ms: 1000, 5000, 1000, 200. Less finds failures sooner (every time of a suspicion is so many of these); each probe costs two packets. */
  readonly probeIntervalMs: number;
  /**
   * How long an answer to a ping is awaited before others are asked, and how late the event loop may be before this member doubts itself, ms: 500, 3000, 200, 100. It should be above the 99th
   * percentile of the round trip: less asks others for nothing, more leaves them less of the probe's interval.
   */
  readonly probeTimeoutMs: number;
  /** How many others are asked to ping a member that did not answer: 3, 3, 1, 3. More finds a way around a bad link surely; each costs four packets per failed ping. */
  readonly indirectChecks: number;
  /** Whether a member that did not answer is asked over TCP as well: all true. Lost UDP packets then make hardly a suspect, and a member that only TCP reaches counts as alive; costs a connection per failed ping. */
  readonly tcpFallback: boolean;
  /** A rumour is passed on so many times ceil(log10(n + 1)): 4, 4, 2, 4. More reaches everybody surely under loss, and costs as many more bytes; whom rumours miss hears by the next exchange. */
  readonly retransmitMultiplier: number;
  /** A suspect has so many times max(1, log10 n) probe intervals to answer back when many suspect it: 4, 6, 3, 4. More finds failures later, and wrongly less often. */
  readonly suspicionMultiplier: number;
  /** So many times longer while only one member suspects it: all 6. More forgives a member that is slow itself and suspects others; where nobody can confirm a suspicion, it finds failures later. 1 = no difference. */
  readonly suspicionMaxMultiplier: number;
  /**
   * Health of this member: its score reaches this minus one at its worst, and stretches its probe interval by score + 1: all 8. More lets a slow member blame others more rarely, and the failures
   * that it finds come later. 1 = it never doubts itself.
   */
  readonly awarenessMaxMultiplier: number;
  /** Whether those who are asked to ping a member say when it did not answer: all true. Who hears nothing from them either looks for the fault on its own side; costs a packet each. */
  readonly wantsNacks: boolean;
  /** Whether a suspect is told so by whoever pings it, so that it can answer back at once: all true. Fewer are wrongly declared dead, for some bytes on such pings. */
  readonly tellsSuspects: boolean;
  /** Rumours that found no ping to ride on are sent this often, ms: 200, 500, 100, 50. Less spreads news sooner in as many more packets; silence costs nothing. */
  readonly gossipIntervalMs: number;
  /** To so many members each time: 3, 4, 3, 3. More spreads news in fewer rounds, and sends more to those who have heard it. */
  readonly gossipMembers: number;
  /** So long after its death a member still hears rumours, in case it lives, and after twice as long it is forgotten, ms: 30000, 60000, 15000, 30000. More lets it refute later; packets to nobody, and names that stay taken, cost. */
  readonly gossipToTheDeadMs: number;
  /** All that is known is exchanged with one member this often, in clusters of more than 32 more rarely, ms: 30000, 60000, 15000, 10000. 0 = never. Less brings sooner what rumours missed; costs a connection and the whole list. */
  readonly pushPullIntervalMs: number;
  /** Longest time of an exchange or message over TCP, ms: 10000, 30000, 1000, 1000. More has patience with slow links and large lists; one that hangs holds its connection and its bytes for as long. */
  readonly tcpTimeoutMs: number;
  /** A name may be taken over from another address when its member has been dead for so long, ms: all 0. 0 = never (it is free when that member is forgotten). Less lets a machine come back sooner elsewhere, and a name be stolen. */
  readonly deadMemberReclaimMs: number;
  /** Largest UDP packet, bytes: all 1400. It should be what every network on the way carries whole: more has room for more rumours; what is cut into pieces on the way is lost with any of them. */
  readonly packetBytes: number;
}

/** Members on one network. */
export const lan: Profile = {
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  indirectChecks: 3,
  tcpFallback: true,
  retransmitMultiplier: 4,
  suspicionMultiplier: 4,
  suspicionMaxMultiplier: 6,
  awarenessMaxMultiplier: 8,
  wantsNacks: true,
  tellsSuspects: true,
  gossipIntervalMs: 200,
  gossipMembers: 3,
  gossipToTheDeadMs: 30_000,
  pushPullIntervalMs: 30_000,
  tcpTimeoutMs: 10_000,
  deadMemberReclaimMs: 0,
  packetBytes: 1400,
};

/** Members across the internet. */
export const wan: Profile = {
  ...lan,
  probeIntervalMs: 5000,
  probeTimeoutMs: 3000,
  suspicionMultiplier: 6,
  gossipIntervalMs: 500,
  gossipMembers: 4,
  gossipToTheDeadMs: 60_000,
  pushPullIntervalMs: 60_000,
  tcpTimeoutMs: 30_000,
};

/** Members on one machine. */
export const local: Profile = {
  ...lan,
  probeTimeoutMs: 200,
  indirectChecks: 1,
  retransmitMultiplier: 2,
  suspicionMultiplier: 3,
  gossipIntervalMs: 100,
  gossipToTheDeadMs: 15_000,
  pushPullIntervalMs: 15_000,
  tcpTimeoutMs: 1000,
};

/**
 * Members of one data center: a death is known after 1 to 1.5 s among up to some dozens, as a suspect has 0.8 s to answer back (1.6 s among a hundred members). So an event loop may
 * stand still for most of a second without being taken for dead; 0.3 s, as under load, make a suspect at most. Costs five probes a second, five times those of `lan`.
 */
export const fast: Profile = {
  ...lan,
  probeIntervalMs: 200,
  probeTimeoutMs: 100,
  gossipIntervalMs: 50,
  pushPullIntervalMs: 10_000,
  tcpTimeoutMs: 1000,
};

/** The same without Lifeguard, as plain SWIM: every suspicion lasts its shortest time, and a member never doubts itself. To compare with; never better. */
export function withoutLifeguard(profile: Profile): Profile {
  return {
    ...profile,
    suspicionMaxMultiplier: 1,
    awarenessMaxMultiplier: 1,
    ...{ wantsNacks: false, tellsSuspects: false },
  };
}

export const profiles = { lan, wan, local, fast } as const;
export type ProfileName = keyof typeof profiles;
