/**
 * Every knob of the protocol, as memberlist has them. Times are milliseconds. All members of a cluster should have the same ones: what they expect of
 * each other follows from them.
 */
export interface Profile {
  /** Time between two probes of a member; twice as long finds failures half as soon and costs half. */
  readonly probeIntervalMs: number;
  /** How long an answer to a ping is awaited before others are asked; above the 99th percentile of the round trip. */
  readonly probeTimeoutMs: number;
  /** How many others are asked to ping a member that did not answer. */
  readonly indirectChecks: number;
  /** Whether a member that did not answer is asked over TCP as well. */
  readonly tcpFallback: boolean;
  /** A rumour is passed on so many times ceil(log10(n + 1)): more reaches everybody surely, and costs more. */
  readonly retransmitMultiplier: number;
  /** A suspect has so many times max(1, log10 n) probe intervals to answer back when many suspect it: more finds failures later, and wrongly less often. */
  readonly suspicionMultiplier: number;
  /** So many times longer while only one member suspects it. */
  readonly suspicionMaxMultiplier: number;
  /** Health of this member: its score reaches this minus one at its worst, and stretches its probe interval by score + 1. */
  readonly awarenessMaxMultiplier: number;
  /** Whether those who are asked to ping a member say when it did not answer: who hears nothing from them either looks for the fault on its own side. Costs a packet each. */
  readonly wantsNacks: boolean;
  /** Whether a suspect is told so by whoever pings it, so that it can answer back at once: fewer are wrongly declared dead, for some bytes on such pings. */
  readonly tellsSuspects: boolean;
  /** Rumours that found no ping to ride on are sent this often to so many members. */
  readonly gossipIntervalMs: number;
  readonly gossipMembers: number;
  /** So long after its death a member still hears rumours, in case it lives. */
  readonly gossipToTheDeadMs: number;
  /** All that is known is exchanged with one member this often, stretched in large clusters; 0 = never. */
  readonly pushPullIntervalMs: number;
  /** Longest time of a TCP exchange. */
  readonly tcpTimeoutMs: number;
  /** A name may be taken over from another address when its member has been dead for so long; 0 = never. */
  readonly deadMemberReclaimMs: number;
  /** Largest UDP packet, bytes: what every network on the way carries whole. */
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
