import { status } from '@grpc/grpc-js';

/** A gRPC status code other than OK. */
export type StatusCode = Exclude<status, status.OK>;

/** One bad field of a request. */
export interface FieldViolation {
  /** Path of the field, such as `graph.steps[2].operation`. */
  readonly field: string;
  readonly description: string;
}

export interface ErrorOptions {
  readonly cause?: unknown;
  /** Facts for programs, such as the address of the leader. Values are short. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** For INVALID_ARGUMENT: what is wrong with which field. */
  readonly violations?: readonly FieldViolation[];
  /** For UNAVAILABLE and RESOURCE_EXHAUSTED: when to try again, milliseconds. */
  readonly retryAfterMs?: number;
}

/**
 * An expected failure. Its `code` is what a caller over gRPC sees, its `reason` (UPPER_SNAKE_CASE) tells
 * the ways to fail apart, its message is one line for people. Anything else that is thrown is a bug and is
 * sent as INTERNAL without its text.
 */
export class FractoryError extends Error {
  readonly code: StatusCode;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(code: StatusCode, reason: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FractoryError';
    this.code = code;
    this.reason = reason;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A request that can't be right, whatever the state of the system. */
export function invalidArgument(
  field: string,
  description: string,
  reason = 'INVALID_ARGUMENT',
): FractoryError {
  return new FractoryError(status.INVALID_ARGUMENT, reason, `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}

/** Something was asked for that goes past a limit; the text names the limit. */
export function limitExceeded(
  limit: string,
  value: string | number | bigint,
  allowed: string | number | bigint,
  options: ErrorOptions & { readonly what?: string } = {},
): FractoryError {
  const what = options.what ?? limit;
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'LIMIT_EXCEEDED',
    `${what} is ${String(value)}, the limit ${limit} is ${String(allowed)}`,
    { ...options, metadata: { ...options.metadata, limit, allowed: String(allowed) } },
  );
}

export function unavailable(
  reason: string,
  message: string,
  options: ErrorOptions = {},
): FractoryError {
  return new FractoryError(status.UNAVAILABLE, reason, message, { retryAfterMs: 200, ...options });
}

export function deadlineExceeded(message: string, options: ErrorOptions = {}): FractoryError {
  return new FractoryError(status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED', message, options);
}

/** The time that a run gave itself is over; no single step is to blame. */
export function budgetExhausted(message: string): FractoryError {
  return new FractoryError(status.DEADLINE_EXCEEDED, 'BUDGET_EXHAUSTED', message);
}

export function cancelled(message = 'cancelled by the caller'): FractoryError {
  return new FractoryError(status.CANCELLED, 'CANCELLED', message);
}

/** A one-line text for anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The operating system's code of an error, such as `ENOENT`. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
