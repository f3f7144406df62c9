import { BlockServiceService } from '../../protos/gen/fractory/v1/block.js';
import type {
  BlockServiceAllocateRequest,
  BlockServiceAllocateResponse,
  BlockServiceListRequest,
  BlockServiceListResponse,
  Extent as ExtentMessage,
  FreeRequest,
  FreeResponse,
  OpenRequest,
  OpenResponse,
  SyncRequest,
  SyncResponse,
  UsageResponse,
} from '../../protos/gen/fractory/v1/block.js';
import type { BlockDevice, Extent } from '../../services/block/device.js';
import { typedService, unary } from '../kernel/calls.js';
import type { TypedService } from '../kernel/calls.js';
import type { OpenExtents } from './open-extents.js';

/** `fractory.v1.BlockService` over the device. */
export function blockTypedService(device: BlockDevice, extents: OpenExtents): TypedService {
  return typedService(BlockServiceService, {
    allocate: unary(
      async ({
        sizeBytes,
        label,
      }: BlockServiceAllocateRequest): Promise<BlockServiceAllocateResponse> => ({
        extent: message(await device.allocate(Number(sizeBytes), label)),
      }),
    ),
    open: unary((request: OpenRequest, { peer }): OpenResponse => {
      const { leaseMs, writable } = request;
      return extents.open(request.extents, {
        sizeBytes: Number(request.sizeBytes),
        writable,
        leaseMs: leaseMs === 0 ? Infinity : leaseMs,
        client: peer,
      });
    }),
    sync: unary(async (request: SyncRequest): Promise<SyncResponse> => {
      await device.sync(request.extents);
      return {};
    }),
    free: unary(async (request: FreeRequest): Promise<FreeResponse> => {
      await extents.free(request.extents);
      return {};
    }),
    list: unary(({ labelPrefix, pageToken }: BlockServiceListRequest): BlockServiceListResponse => {
      const page = device.list(labelPrefix, pageToken);
      return {
        extents: page.extents.map((one) => ({ extent: message(one), label: one.label })),
        nextPageToken: page.nextPageToken,
      };
    }),
    usage: unary((): UsageResponse => {
      const { blockBytes, capacityBytes, allocatedBytes, extents: count } = device.usage();
      return {
        ...{ blockBytes, extents: count },
        capacityBytes: BigInt(capacityBytes),
        allocatedBytes: BigInt(allocatedBytes),
      };
    }),
  });
}

function message({ id, sizeBytes }: Extent): ExtentMessage {
  return { id, sizeBytes: BigInt(sizeBytes) };
}
