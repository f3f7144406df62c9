import { status } from '@grpc/grpc-js';

import type { FractoryError } from './errors.js';

/** A failure as programs read it: what `--json` prints where there is no answer. `code` is the name of the gRPC status. */
export interface FailureData {
  readonly error: {
    readonly code: string;
    readonly reason: string;
    readonly message: string;
    /** Where a step of a run failed. */
    readonly step?: string | undefined;
    readonly member?: string | undefined;
  };
}

export function failureData({ code, reason, message, metadata }: FractoryError): FailureData {
  const { step, member } = metadata;
  return { error: { code: status[code], reason, message, step, member } };
}
