import { status } from '@grpc/grpc-js';

import { FractoryError, limitExceeded, systemCodeOf } from '../../runtime/errors.js';

export function extentNotFound(id: string): FractoryError {
  return new FractoryError(
    status.NOT_FOUND,
    'EXTENT_NOT_FOUND',
    // Not the whole id: whoever knows it may open the extent.
    `there is no extent ${JSON.stringify(`${id.slice(0, 6)}...`)}: it was freed or never was`,
  );
}

/** What a use of freed blocks gets that had begun before. */
export function extentFreed(): FractoryError {
  return new FractoryError(
    status.PERMISSION_DENIED,
    'CAPABILITY_REVOKED',
    'an extent of this memory was freed',
  );
}

export function deviceFull(device: string, wantedBytes: number, freeBytes: number): FractoryError {
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'DEVICE_FULL',
    `${device} has ${String(freeBytes)} bytes free, ${String(wantedBytes)} were asked for; free extents or raise capacity_bytes`,
    { metadata: { free_bytes: String(freeBytes) } },
  );
}

export function tooLarge(limit: string, what: string, found: number, allowed: number) {
  return limitExceeded(limit, found, allowed, { what });
}

/** The device file can't be used as it is, whatever is tried. */
export function unusable(reason: string, message: string): FractoryError {
  return new FractoryError(status.FAILED_PRECONDITION, reason, message);
}

export function deviceDamaged(device: string, what: string): FractoryError {
  return new FractoryError(status.DATA_LOSS, 'DEVICE_DAMAGED', `${device}: ${what}`);
}

/** After a sync has failed nobody knows what is on the disk: only a new start, which reads it, does. */
export function deviceFailed(device: string, cause: unknown): FractoryError {
  return new FractoryError(
    status.DATA_LOSS,
    'DEVICE_FAILED',
    `${device} could not be made durable; restart the node`,
    { cause },
  );
}

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const FORBIDDEN = new Set(['EACCES', 'EPERM', 'EROFS']);

/** The one translator of the operating system's errors. Anything that it doesn't know is a bug and stays as it is. */
export function translate(thrown: unknown, device: string): unknown {
  const code = systemCodeOf(thrown);
  if (thrown instanceof FractoryError || code === undefined) return thrown;
  const options = { cause: thrown };
  if (FULL.has(code)) {
    const text = `the disk under ${device} is full (${code})`;
    return new FractoryError(status.RESOURCE_EXHAUSTED, 'DISK_FULL', text, options);
  }
  if (FORBIDDEN.has(code)) {
    const text = `the file of ${device} can not be written (${code})`;
    return new FractoryError(status.FAILED_PRECONDITION, 'DEVICE_READ_ONLY', text, options);
  }
  if (code !== 'EIO') return thrown;
  const text = `the disk under ${device} failed (${code})`;
  return new FractoryError(status.DATA_LOSS, 'DISK_FAILED', text, options);
}
