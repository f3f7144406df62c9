import { makeStorageAdaptor } from '../../services/storage/adaptor.js';
import { FileStore } from '../../services/storage/store.js';
import type { MakeDevice } from '../kernel/device.js';
import { storageService } from './service.js';
import type { StorageSettings } from './settings.js';

/** Opens the folder of the files of clients; a folder that can't be opened stops the node. */
export const makeStorageDevice: MakeDevice<StorageSettings> = async (context) => {
  const { settings, storagePath, kernel } = context;
  const store = await FileStore.open(storagePath, settings);
  return {
    adaptor: makeStorageAdaptor(store, {
      inlineLimitBytes: kernel.limits.inline_limit_bytes,
      limits: settings,
    }),
    services: [storageService(store, settings)],
    // Every file is open only as long as its call; the kernel ends the calls.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
};
