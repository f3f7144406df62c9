import { resolvePath } from '../../config/paths.js';
import { blockAdaptor } from '../../services/block/adaptor.js';
import { BlockDevice } from '../../services/block/device.js';
import type { MakeDevice } from '../kernel/device.js';
import { OpenExtents } from './open-extents.js';
import { blockTypedService } from './service.js';
import type { BlockSettings } from './settings.js';

/** Opens the device file of this member; one that can't be opened, or that another process serves, stops the node. */
export const makeBlockDevice: MakeDevice<BlockSettings> = async (context) => {
  const { settings, root, statePath, member, log, kernel } = context;
  const { device_path, capacity_bytes, block_bytes, ...limits } = settings;
  const file = resolvePath({ root, statePath }, device_path.replaceAll('NAME', member));
  const device = await BlockDevice.open({
    ...{ file, name: member, capacityBytes: capacity_bytes, blockBytes: block_bytes },
    ...{ limits, log },
  });
  const { capacityBytes, allocatedBytes, extents } = device.usage();
  log.info({ capacityBytes, allocatedBytes, extents }, 'block device open');
  const open = new OpenExtents(device, () => kernel.memory);
  return {
    adaptor: blockAdaptor(open),
    services: [blockTypedService(device, open)],
    [Symbol.asyncDispose]: () => device[Symbol.asyncDispose](),
  };
};
