import type { ConnectionState } from './coordinator.js';

/** What a client knows of its session, by its own clock. */
export interface Liveness {
  readonly state: ConnectionState;
  /** How many sessions there have been, this one included. 0 before the first. */
  readonly generation: number;
  /** Session timeout as negotiated with the server, ms. 0 before the first session. */
  readonly timeoutMs: number;
  /**
   * Invariant: the server can't have expired the session before this moment (monotonic ms), since it has answered something
   * that was sent one timeout earlier.
   */
  readonly aliveUntilMs: number;
}

export type LivenessEvent =
  /** The server answered, within the session, what was sent at `sentAtMs`. */
  | { readonly kind: 'answered'; readonly sentAtMs: number; readonly timeoutMs: number }
  /** The connection broke, or a heartbeat was missed. */
  | { readonly kind: 'silent' }
  /** The server says that the session is over. */
  | { readonly kind: 'expired' }
  /** Time went by. */
  | { readonly kind: 'elapsed'; readonly nowMs: number }
  | { readonly kind: 'closed' };

export const unborn: Liveness = {
  state: 'connecting',
  generation: 0,
  timeoutMs: 0,
  aliveUntilMs: 0,
};

/** The state machine of a session: connecting -> connected <-> suspended -> lost -> connected (next generation); closed ends it. */
export function reduceLiveness(now: Liveness, event: LivenessEvent): Liveness {
  if (now.state === 'closed') return now;
  const hasSession = now.state === 'connected' || now.state === 'suspended';
  switch (event.kind) {
    case 'answered':
      return {
        state: 'connected',
        generation: hasSession ? now.generation : now.generation + 1,
        timeoutMs: event.timeoutMs,
        aliveUntilMs: event.sentAtMs + event.timeoutMs,
      };
    case 'silent':
      return now.state === 'connected' ? { ...now, state: 'suspended' } : now;
    case 'expired':
      return hasSession ? { ...now, state: 'lost' } : now;
    case 'elapsed':
      return hasSession && event.nowMs >= now.aliveUntilMs ? { ...now, state: 'lost' } : now;
    case 'closed':
      return { ...now, state: 'closed' };
  }
}

/** True while the session is connected and can't have expired at the server, whatever the timers of this process do. */
export function isFresh(liveness: Liveness, nowMs: number): boolean {
  return liveness.state === 'connected' && nowMs < liveness.aliveUntilMs;
}
