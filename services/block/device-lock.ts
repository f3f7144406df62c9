import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import { Locks } from '../storage/locks.js';
import { Owner } from '../storage/owner.js';

/**
 * Takes the lock of a device file, which one process serves at a time; returns what gives it back. The lock of a dead process of this machine is
 * broken; one of another machine, whose processes can't be seen, never is. The locks are those that the storage device has between its processes.
 */
export async function lockDevice(
  folder: string,
  device: string,
  timeoutMs: number,
): Promise<() => Promise<void>> {
  const locks = new Locks(await Owner.ofThisProcess(), timeoutMs, Infinity);
  let giveBack = (): void => undefined;
  const served = new Promise<void>((resolve) => {
    giveBack = resolve;
  });
  let taken = (): void => undefined;
  const isTaken = new Promise<void>((resolve) => {
    taken = resolve;
  });
  const holding = locks.hold(folder, () => {
    taken();
    return served;
  });
  try {
    await Promise.race([isTaken, holding]);
  } catch (error) {
    throw error instanceof FractoryError ? busy(device, error) : error;
  }
  return async () => {
    giveBack();
    await holding;
  };
}

function busy(device: string, cause: FractoryError): FractoryError {
  return new FractoryError(
    status.UNAVAILABLE,
    'DEVICE_BUSY',
    `another process serves the file of ${device}`,
    { cause, retryAfterMs: 1000 },
  );
}
