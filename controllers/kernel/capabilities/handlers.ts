import { CapabilityState } from '../../../protos/gen/fractory/v1/controller.js';
import type {
  DeriveRequest,
  DeriveResponse,
  RevokeRequest,
  RevokeResponse,
  WatchRequest,
  WatchResponse,
} from '../../../protos/gen/fractory/v1/controller.js';
import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import { toFractoryError } from '../../../protos/status.js';
import { invalidArgument } from '../../../runtime/errors.js';
import { serverStream, unary } from '../calls.js';
import type { MethodHandler } from '../calls.js';
import type { ObjectTable } from './objects.js';
import type { WatchEnd } from './watches.js';

/** `Derive`, `Revoke` and `Watch` of ControllerService. The capability is all the authority that they ask for. */
export function capabilityHandlers(
  objects: Pick<ObjectTable, 'derive' | 'revoke' | 'watch'>,
): Readonly<Record<'derive' | 'revoke' | 'watch', MethodHandler>> {
  return {
    derive: unary((request: DeriveRequest): DeriveResponse =>
      objects.derive(capabilityOf(request), request.caveat),
    ),
    revoke: unary((request: RevokeRequest): RevokeResponse => ({
      revoked: BigInt(objects.revoke(capabilityOf(request))),
    })),
    watch: serverStream(
      (request: WatchRequest, { signal }) => watch(objects, capabilityOf(request), signal),
      { endsItself: true, isStanding: true },
    ),
  };
}

/** Says that the capability is valid now and then, once, why it is no more. A caller that goes leaves nothing behind. */
async function* watch(
  objects: Pick<ObjectTable, 'watch'>,
  capability: Capability,
  signal: AbortSignal,
): AsyncGenerator<WatchResponse, void> {
  let hear: (end: WatchEnd) => void = () => undefined;
  const heard = new Promise<WatchEnd>((resolve) => (hear = resolve));
  const cancel = objects.watch(capability, hear);
  try {
    yield { state: CapabilityState.VALID };
    yield { state: STATES[await endOrAbort(heard, signal)] };
  } finally {
    cancel();
  }
}

const STATES: Readonly<Record<WatchEnd, CapabilityState>> = {
  revoked: CapabilityState.REVOKED,
  expired: CapabilityState.EXPIRED,
  'owner lost': CapabilityState.OWNER_LOST,
};

function endOrAbort(heard: Promise<WatchEnd>, signal: AbortSignal): Promise<WatchEnd> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(toFractoryError(signal.reason));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    void heard.then((end) => {
      signal.removeEventListener('abort', onAbort);
      resolve(end);
    });
  });
}

function capabilityOf({
  capability,
}: {
  readonly capability?: Capability | undefined;
}): Capability {
  if (!capability) throw invalidArgument('capability', 'is missing');
  return capability;
}
