import { runNode } from '../kernel/node-process.js';
import { makeBlockDevice } from './device.js';
import { settings } from './settings.js';

await runNode(settings, makeBlockDevice);
