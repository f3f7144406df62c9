import { runNode } from '../kernel/node-process.js';
import { makeMathDevice } from './device.js';
import { settings } from './settings.js';

await runNode(settings, makeMathDevice);
