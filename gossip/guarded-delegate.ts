import type { Delegate } from './core/gossip-member.js';

/** The same delegate, whose failures are told instead of thrown: a message that the program on top can't take must not end gossip. */
export function guarded(delegate: Delegate, failed: (error: unknown) => void): Required<Delegate> {
  const safely = <T>(call: () => T, otherwise: T): T => {
    try {
      return call();
    } catch (error) {
      failed(error);
      return otherwise;
    }
  };
  const safelyLater = async <T>(call: () => T | Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      failed(error);
      return otherwise;
    }
  };
  return {
    onUserMessage: (bytes) => {
      safely(() => delegate.onUserMessage?.(bytes), undefined);
    },
    localState: (join, heard) =>
      safelyLater(() => delegate.localState?.(join, heard) ?? NOTHING, NOTHING),
    mergeState: (bytes, join) => safelyLater(() => delegate.mergeState?.(bytes, join), undefined),
    ackPayload: () => safely(() => delegate.ackPayload?.(), undefined) ?? NOTHING,
    onAnswer: (member, roundTripMs, payload) => {
      safely(() => delegate.onAnswer?.(member, roundTripMs, payload), undefined);
    },
  };
}

const NOTHING = new Uint8Array();
