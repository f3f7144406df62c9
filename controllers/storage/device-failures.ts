import { status } from '@grpc/grpc-js';

import { FractoryError, unavailable } from '../../runtime/errors.js';

/** A device that isn't there, or doesn't answer, takes its extents with it for as long. */
export function deviceLost(
  device: string,
  how: 'it is not registered' | 'it does not answer',
  cause?: unknown,
): FractoryError {
  return unavailable(
    'OWNER_LOST',
    `block device ${device} can not be reached: ${how}; ./datacenter node block --name ${device} starts it`,
    { cause, metadata: { device } },
  );
}

/** What did not find room. */
export interface Unplaced {
  /** `client/name`. */
  readonly what: string;
  /** Size of the content where it is known before. */
  readonly sizeBytes: number | undefined;
  /** Set aside for it before. */
  readonly placedBytes: number;
  readonly wantedBytes: number;
}

/** Told to those who store files: they know nothing of extents. `refusal` is the device's own. */
export function deviceFull(
  device: string,
  { what, sizeBytes, placedBytes, wantedBytes }: Unplaced,
  refusal: FractoryError,
): FractoryError {
  const size =
    sizeBytes === undefined ? `${String(placedBytes)} bytes so far` : `${String(sizeBytes)} bytes`;
  const free = refusal.metadata['free_bytes'] ?? 'too few';
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'DEVICE_FULL',
    `${device} is full: ${what} (${size}) asked for ${String(wantedBytes)} bytes more, ${free} are free; delete files of storage or raise capacity_bytes`,
    { cause: refusal, metadata: { ...refusal.metadata, device } },
  );
}
