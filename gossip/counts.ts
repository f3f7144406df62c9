import type { Drop } from './core/drop.js';
import type { WireProblem } from './wire/wire-error.js';

/**
 * Why something that arrived counts for nothing.
 *
 * - of a `WireError`: `truncated`, `malformed`, `too_large` (or too much at once), `forbidden` (plain, or another label), `undecryptable` (another key, or changed on its way)
 * - of a message, see `Drop`: `stale` and `unexpected_answer` are usual, as rumours meet each other and answers come late; many of them may be replays
 * - of a connection: `refused` (versions that don't fit ours, or the other side refuses), `too_many` (connections at once), `unfinished` (it broke, took too long, or nobody was there for
 *   a regular exchange; who joins hears it)
 * - `failed`: this member could not take it, which is a bug of ours or of the program on top; the log has its stack
 */
export type DropReason = WireProblem | Drop | 'refused' | 'too_many' | 'unfinished' | 'failed';

/** What was sent and received since the start, and what was dropped and why. */
export interface GossipCounts {
  packetsIn: number;
  packetsOut: number;
  bytesIn: number;
  bytesOut: number;
  /** Exchanges of all that is known that were taken. */
  exchanges: number;
  /** How often this member had to say that it lives, or is not what somebody else said of it: accusations, made up or not. */
  readonly refuted: number;
  /** By `DropReason`. */
  readonly dropped: Map<string, number>;
}
