import { encode } from '../../protos/encode.js';
import { Receipt } from '../../protos/gen/fractory/v1/graph.js';
import { contentBytesOf } from '../../protos/values.js';
import { stepIdOf } from './graph/step-id.js';
import type { Work } from './work.js';

const { timeOrigin } = performance;
const MAX_UINT32 = 2 ** 32 - 1;

/** Microseconds since 1970; never goes back within a process. */
export function nowUs(): number {
  return Math.round((timeOrigin + performance.now()) * 1000);
}

/** The encoded receipt of a step that has ended. `computeUs`: time that the operation took. */
export function encodeReceipt(
  work: Work,
  owner: { readonly member: string; readonly epoch: bigint },
  computeUs: number,
  bytesOut: number,
): Uint8Array {
  const { invocation, operation, allowance, args, arrivedAtUs, startedAtUs, reused } = work;
  const sentAtUs = Number(invocation.sentAtUs);
  let bytesIn = 0;
  for (const value of args.values()) bytesIn += contentBytesOf(value);
  return encode(Receipt, {
    step: stepIdOf(allowance) ?? '',
    operation: operation.spec.name,
    member: owner.member,
    epoch: owner.epoch,
    arrivedAtUs: BigInt(arrivedAtUs),
    transferUs: sentAtUs === 0 ? 0 : fitting(arrivedAtUs - sentAtUs),
    queueUs: fitting(startedAtUs - arrivedAtUs),
    computeUs: fitting(computeUs),
    bytesIn: BigInt(bytesIn),
    bytesOut: BigInt(bytesOut),
    reused,
    pullUs: fitting(work.pullUs),
    heldBytes: BigInt(work.heldBytes),
    tries: work.tries,
  });
}

/** A time as receipts hold it. Clocks of two machines may be far apart. */
function fitting(us: number): number {
  return Math.min(Math.max(0, us), MAX_UINT32);
}
