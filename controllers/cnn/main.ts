import { runNode } from '../kernel/node-process.js';
import { makeCnnDevice } from './device.js';
import { settings } from './settings.js';

await runNode(settings, makeCnnDevice);
