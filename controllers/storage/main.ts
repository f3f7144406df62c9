import { runNode } from '../kernel/node-process.js';
import { makeStorageDevice } from './device.js';
import { settings } from './settings.js';

await runNode(settings, makeStorageDevice);
