import { Metadata, status } from '@grpc/grpc-js';
import type { ServiceError, StatusObject } from '@grpc/grpc-js';

import { FractoryError, messageOf } from '../runtime/errors.js';
import type { StatusCode } from '../runtime/errors.js';
import type { Any } from './gen/google/protobuf/any.js';
import type { Failure } from './gen/fractory/v1/value.js';
import { BadRequest, ErrorInfo, RetryInfo } from './gen/google/rpc/error_details.js';
import type { BadRequest_FieldViolation } from './gen/google/rpc/error_details.js';
import { Status } from './gen/google/rpc/status.js';

/** `ErrorInfo.domain` of all our errors. */
export const ERROR_DOMAIN = 'fractory';
const DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_PREFIX = 'type.googleapis.com/google.rpc.';
/** Errors travel in the metadata of a call, of which some clients take no more than 8 KiB: texts past these are cut. */
const MAX_MESSAGE_BYTES = 1500;
const MAX_VIOLATIONS_BYTES = 2000;
const MAX_FACT_BYTES = 250;

/** What a bug looks like to callers; the text of the real error stays in the log. */
const INTERNAL = new FractoryError(
  status.INTERNAL,
  'INTERNAL',
  'internal error; the log of the node tells more',
);

/** Any thrown value as the error that callers may see. */
export function toFractoryError(thrown: unknown): FractoryError {
  if (thrown instanceof FractoryError) return thrown;
  if (isServiceError(thrown)) return fromStatus(thrown);
  return INTERNAL;
}

/** google.rpc.Status with the details that callers rely on: ErrorInfo always, BadRequest and RetryInfo where they apply. */
export function toRpcStatus(thrown: unknown): Status {
  const error = toFractoryError(thrown);
  const details = [
    pack(
      'ErrorInfo',
      ErrorInfo.encode({
        reason: error.reason,
        domain: ERROR_DOMAIN,
        metadata: clippedFacts(error.metadata),
      }).finish(),
    ),
  ];
  if (error.violations.length > 0) details.push(pack('BadRequest', badRequest(error)));
  if (error.retryAfterMs !== undefined)
    details.push(pack('RetryInfo', retryInfo(error.retryAfterMs)));
  return { code: error.code, message: clipped(error.message, MAX_MESSAGE_BYTES), details };
}

/** What a gRPC handler gives to its callback or stream. */
export function toStatus(thrown: unknown): StatusObject {
  const rpc = toRpcStatus(thrown);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(Status.encode(rpc).finish()));
  return { code: knownCode(rpc.code), details: rpc.message, metadata };
}

/** The error that a call ended with. */
export function fromStatus(error: ServiceError | StatusObject): FractoryError {
  const [encoded] = error.metadata.get(DETAILS_KEY);
  if (Buffer.isBuffer(encoded)) {
    try {
      return fromRpcStatus(Status.decode(encoded));
    } catch {
      // Details that can't be read don't hide the error itself.
    }
  }
  const code = isBrokenStream(error) ? status.UNAVAILABLE : knownCode(error.code);
  return new FractoryError(code, defaultReason(code), error.details || messageOf(error), {
    cause: error,
  });
}

/** A connection that dies in the middle of a call is INTERNAL to grpc-js on some versions of Node.js; nothing but its text tells it from a server's bug. */
function isBrokenStream({ code, details }: ServiceError | StatusObject): boolean {
  return code === status.INTERNAL && details.startsWith('Received RST_STREAM');
}

export function fromRpcStatus(rpc: Status): FractoryError {
  const code = knownCode(rpc.code);
  const info = unpack(rpc, 'ErrorInfo', ErrorInfo);
  const retry = unpack(rpc, 'RetryInfo', RetryInfo)?.retryDelay;
  const violations = unpack(rpc, 'BadRequest', BadRequest)?.fieldViolations;
  return new FractoryError(code, info?.reason ?? defaultReason(code), rpc.message, {
    ...(info ? { metadata: info.metadata } : {}),
    ...(violations ? { violations } : {}),
    ...(retry ? { retryAfterMs: Number(retry.seconds) * 1000 + retry.nanos / 1e6 } : {}),
  });
}

/** What failure continuations receive. */
export function toFailure(thrown: unknown, where: { step: string; member: string }): Failure {
  const error = toFractoryError(thrown);
  return {
    code: error.code,
    reason: error.reason,
    message: clipped(error.message, MAX_MESSAGE_BYTES),
    metadata: { ...error.metadata },
    retryAfterMs: Math.ceil(error.retryAfterMs ?? 0),
    ...where,
  };
}

export function fromFailure(failure: Failure): FractoryError {
  return new FractoryError(knownCode(failure.code), failure.reason, failure.message, {
    metadata: { ...failure.metadata, step: failure.step, member: failure.member },
    ...(failure.retryAfterMs > 0 ? { retryAfterMs: failure.retryAfterMs } : {}),
  });
}

/** Whether something thrown is an error of ours or of gRPC, rather than a bug or an error of the machine. */
export function isTold(thrown: unknown): boolean {
  return thrown instanceof FractoryError || isServiceError(thrown);
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'metadata' in thrown && 'details' in thrown;
}

function knownCode(code: number): StatusCode {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the range check makes it a code
  return code > 0 && code <= 16 ? code : status.UNKNOWN;
}

function defaultReason(code: StatusCode): string {
  return status[code];
}

function pack(name: string, value: Uint8Array): Any {
  return { typeUrl: TYPE_PREFIX + name, value };
}

function unpack<T>(
  rpc: Status,
  name: string,
  type: { decode(bytes: Uint8Array): T },
): T | undefined {
  const any = rpc.details.find((detail) => detail.typeUrl === TYPE_PREFIX + name);
  return any && type.decode(any.value);
}

function badRequest(error: FractoryError): Uint8Array {
  const { reason } = error;
  const fieldViolations: BadRequest_FieldViolation[] = [];
  let bytes = 0;
  for (const violation of error.violations) {
    const field = clipped(violation.field, MAX_FACT_BYTES);
    const description = clipped(violation.description, MAX_FACT_BYTES);
    bytes += Buffer.byteLength(field + description + reason);
    if (bytes > MAX_VIOLATIONS_BYTES) break;
    fieldViolations.push({ field, description, reason });
  }
  const left = error.violations.length - fieldViolations.length;
  if (left > 0)
    fieldViolations.push({ field: '', description: `and ${String(left)} more`, reason });
  return BadRequest.encode({ fieldViolations }).finish();
}

function clippedFacts(facts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, fact]) => [name, clipped(fact, MAX_FACT_BYTES)]),
  );
}

/** Well-formed text of at most `maxBytes`: half a character, which gRPC could not send, becomes a replacement character. */
function clipped(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return bytes.toString();
  const kept = bytes.subarray(0, maxBytes - CUT.length);
  // Streaming: a character that was cut in two at the end is left out.
  return new TextDecoder().decode(kept, { stream: true }) + CUT;
}

const CUT = '...';

function retryInfo(retryAfterMs: number): Uint8Array {
  const seconds = Math.floor(retryAfterMs / 1000);
  const nanos = Math.round((retryAfterMs % 1000) * 1e6);
  return RetryInfo.encode({ retryDelay: { seconds: BigInt(seconds), nanos } }).finish();
}
