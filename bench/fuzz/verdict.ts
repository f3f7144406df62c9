import { status } from '@grpc/grpc-js';

import type { RpcCase } from './rpc-case.js';
import type { Outcome } from './raw-call.js';

/** A frame of a stack, or the place of a file of the product. */
export const STACK =
  /\bat (?:async )?[\w.<>$# ]+ \((?:node:|file:|\/)|(?:\.js|\.ts):\d+:\d+|node_modules\//;
/** What a bug of ours looks like to callers, wherever in an answer it stands. */
const INTERNAL_TEXT = 'internal error; the log of the node tells more';
/** Answers are scanned up to here, bytes. */
const SCANNED_BYTES = 256 * 1024;

/**
 * What is wrong with an answer; undefined if nothing is.
 *
 * @param folders that no caller may hear of
 */
export function faultOf(
  { path, mustAnswer }: RpcCase,
  outcome: Outcome,
  folders: readonly string[],
): string | undefined {
  const { code, message, details } = outcome;
  if (code === status.INTERNAL || code === status.UNKNOWN)
    return `${path} answers ${status[code]}: ${message}`;
  if (code !== undefined && (!Number.isInteger(code) || code < 0 || code > 16))
    return `${path} answers with status ${String(code)}, which there is not`;
  const told = [message, details.toString('latin1'), ...outcome.messages.map(scanned)];
  for (const text of told) {
    if (STACK.test(text)) return `${path} tells a stack or a source file: ${text.slice(0, 300)}`;
    const folder = folders.find((one) => text.includes(one));
    if (folder !== undefined) return `${path} tells ${folder}: ${text.slice(0, 300)}`;
    if (text.includes(INTERNAL_TEXT)) return `${path} tells of an internal error in its answer`;
  }
  if (mustAnswer && outcome.timedOut) return `${path} has not answered in time`;
  return undefined;
}

const scanned = (message: Uint8Array): string =>
  Buffer.from(message).subarray(0, SCANNED_BYTES).toString('latin1');
