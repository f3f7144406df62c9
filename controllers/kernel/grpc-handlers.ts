import type { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedHandleCall,
} from '@grpc/grpc-js';

import { toFractoryError, toStatus } from '../../protos/status.js';
import { AbortScope } from '../../runtime/abort-scope.js';
import { cancelled, deadlineExceeded } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { Span, Tracer } from '../../runtime/tracing/tracer.js';
import type { CallRoom } from './call-room.js';
import type { CallContext, MethodHandler } from './calls.js';
import { endCall, startCall } from './spans.js';

/** What every call of a node has in common. */
export interface CallRules {
  readonly log: Logger;
  readonly defaultBudgetMs: number;
  readonly maxBudgetMs: number;
  /** Aborts when the node's grace period is over. */
  readonly stopping: AbortSignal;
  /**
   * Calls that come now wait for it, among those under way, before they are checked; see `Leadership.servesSoon`. Throws if the caller may not even wait. Default:
   * none does.
   */
  readonly ready?: (metadata: Metadata) => Promise<void> | undefined;
  /** Throws if the caller may not call this method now. */
  readonly check: (method: string, metadata: Metadata) => void;
  /** Whether the caller is a controller of this data center. Default: nobody is. */
  readonly isController?: (metadata: Metadata) => boolean;
  /** Counts a call as under way until what it returns is called. Not asked about those that go on until somebody ends them. */
  readonly track?: () => () => void;
  /** Where calls, and streams that may go on for long, find room. Default: there is always some. */
  readonly rooms?: { readonly calls: CallRoom; readonly streams: CallRoom };
  /** Hears how each call ended. */
  readonly ended: (method: string, code: string, seconds: number) => void;
  /** Default: calls are not traced. */
  readonly tracer?: Tracer;
}

/* eslint-disable @typescript-eslint/no-explicit-any -- one adapter for all request and response types */
type AnyCall =
  | ServerUnaryCall<any, any>
  | ServerReadableStream<any, any>
  | ServerWritableStream<any, any>
  | ServerDuplexStream<any, any>;

/** The longest that a timer can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The grpc-js handler for one of ours. */
export function grpcHandler(
  method: string,
  handler: MethodHandler,
  given: CallRules,
): UntypedHandleCall {
  const rules = rulesFor(handler, given);
  switch (handler.kind) {
    case 'unary': {
      const serve: handleUnaryCall<any, any> = (call, callback) => {
        void serveCall(method, call, rules, async (context) => {
          callback(null, await handler.handle(call.request, context));
        }).then((error) => {
          if (error) callback(error);
        });
      };
      return serve;
    }
    case 'clientStream': {
      const serve: handleClientStreamingCall<any, any> = (call, callback) => {
        void serveCall(method, call, rules, async (context) => {
          callback(null, await handler.handle(messagesOf(call, context), context));
        }).then((error) => {
          if (error) callback(error);
        });
      };
      return serve;
    }
    case 'serverStream': {
      const serve: handleServerStreamingCall<any, any> = (call) => {
        const limits = handler.endsItself
          ? { ...rules, defaultBudgetMs: MAX_TIMER_MS, maxBudgetMs: MAX_TIMER_MS }
          : rules;
        void serveStream(method, call, limits, (context) => handler.handle(call.request, context));
      };
      return serve;
    }
    case 'pipe': {
      const serve: handleBidiStreamingCall<any, any> = (call) => {
        servePipe(method, call, rules, handler.handle);
      };
      return serve;
    }
  }
}

/** Rules for the calls of one method. */
interface MethodRules extends CallRules {
  /** Throws where there is no room for the call; returns what gives it back. */
  readonly enter?: (() => () => void) | undefined;
}

function rulesFor(handler: MethodHandler, rules: CallRules): MethodRules {
  const isStanding = 'isStanding' in handler && handler.isStanding;
  const endsItself = 'endsItself' in handler && handler.endsItself;
  const enter = rules.rooms?.[isStanding || endsItself ? 'streams' : 'calls'].enter;
  return isStanding ? { ...rules, enter, track: () => () => undefined } : { ...rules, enter };
}

/** Runs one call under one signal; resolves with the status to send if it failed. */
async function serveCall(
  method: string,
  call: AnyCall,
  rules: MethodRules,
  work: (context: CallContext) => Promise<void>,
): Promise<ReturnType<typeof toStatus> | undefined> {
  const startedAt = performance.now();
  const span = rules.tracer?.enabled ? startCall(rules.tracer, method, call.metadata) : undefined;
  const scope = callScope(call, rules, span);
  const untrack = rules.track?.();
  let leave: (() => void) | undefined;
  let code = 'OK';
  let message = '';
  try {
    const ready = rules.ready?.(call.metadata);
    if (ready) {
      leave = rules.enter?.();
      await Promise.race([scope.aborted, ready]);
    }
    rules.check(method, call.metadata);
    leave ??= rules.enter?.();
    const worked = span ? span.run(() => work(scope.context)) : work(scope.context);
    await Promise.race([scope.aborted, worked]);
    return undefined;
  } catch (thrown) {
    const failure = toStatus(thrown);
    code = status[failure.code];
    message = failure.details;
    if (failure.code === status.INTERNAL) rules.log.error({ err: thrown, method }, 'call failed');
    return failure;
  } finally {
    scope.end();
    untrack?.();
    leave?.();
    rules.ended(method, code, (performance.now() - startedAt) / 1000);
    if (span) endCall(span, code, message);
  }
}

async function serveStream(
  method: string,
  call: ServerWritableStream<any, any> | ServerDuplexStream<any, any>,
  rules: MethodRules,
  produce: (context: CallContext) => AsyncIterable<any>,
): Promise<void> {
  const failure = await serveCall(method, call, rules, async (context) => {
    for await (const message of produce(context)) {
      if (context.signal.aborted) throw toFractoryError(context.signal.reason);
      if (!call.write(message)) await drained(call, context.signal);
    }
  });
  if (failure) call.emit('error', failure);
  else call.end();
}

function servePipe(
  method: string,
  call: ServerDuplexStream<any, any>,
  rules: CallRules,
  handle: (stream: ServerDuplexStream<any, any>, context: CallContext) => void,
): void {
  try {
    rules.check(method, call.metadata);
    const context = { signal: rules.stopping, budgetMs: Infinity, log: rules.log };
    handle(call, { ...context, metadata: call.metadata, peer: call.getPeer() });
  } catch (thrown) {
    call.emit('error', toStatus(thrown));
  }
}

/**
 * The messages of a caller. In grpc-js a stream that was cut off ends like a complete one and is said to be cancelled a turn or two later:
 * a handler must never take half an upload for a whole one.
 */
async function* messagesOf<Q>(
  call: ServerReadableStream<Q, any> | ServerDuplexStream<Q, any>,
  { signal }: CallContext,
): AsyncGenerator<Q, void> {
  for await (const message of call) yield message as Q;
  for (let turn = 0; turn < CANCEL_TURNS && !signal.aborted; turn++) await nextTurn();
  if (signal.aborted) throw toFractoryError(signal.reason);
}

/** Two were seen to be enough. */
const CANCEL_TURNS = 5;

/** Resolves when the stream takes more, or at the abort: then the loop sees the signal. */
function drained(call: EventEmitter, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** One for all calls: its stack would say nothing, and making one costs more than the rest of ending a call. */
const CALL_ENDED = cancelled('the call has ended');

/** Deadline, cancel and the node's stop, folded into one signal. */
function callScope(
  call: AnyCall,
  rules: CallRules,
  span: Span | undefined,
): { context: CallContext; aborted: Promise<never>; end: () => void } {
  const scope = new AbortScope(rules.stopping);
  const { signal } = scope;
  const budgetMs = budgetOf(call, rules);
  scope.endsBy(Date.now() + budgetMs);
  const timer = setTimeout(() => {
    scope.abort(deadlineExceeded(`the call took longer than ${String(Math.round(budgetMs))} ms`));
  }, budgetMs);
  const onCancelled = (): void => {
    scope.abort(cancelled());
  };
  const events: EventEmitter = call;
  events.on('cancelled', onCancelled);
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(toFractoryError(signal.reason));
    };
    signal.addEventListener('abort', onAbort);
  });
  aborted.catch(() => undefined);
  const context: CallContext = {
    ...{ signal, budgetMs, metadata: call.metadata, peer: call.getPeer(), log: rules.log },
    isController: () => rules.isController?.(call.metadata) ?? false,
    ...(span ? { traceparent: span.traceparent } : {}),
  };
  return {
    context,
    aborted,
    end: () => {
      clearTimeout(timer);
      events.off('cancelled', onCancelled);
      signal.removeEventListener('abort', onAbort);
      // What the handler left running, such as a read ahead, ends with the call.
      scope.abort(CALL_ENDED);
      scope.end();
    },
  };
}

function budgetOf(call: AnyCall, { defaultBudgetMs, maxBudgetMs }: CallRules): number {
  const deadline = call.getDeadline();
  const leftMs = deadline instanceof Date ? deadline.getTime() - Date.now() : deadline - Date.now();
  return Number.isFinite(leftMs) ? Math.min(Math.max(leftMs, 0), maxBudgetMs) : defaultBudgetMs;
}
