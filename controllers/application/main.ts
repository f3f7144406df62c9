import { runNode } from '../kernel/node-process.js';
import { makeApplicationDevice } from './device.js';
import { settings } from './settings.js';

await runNode(settings, makeApplicationDevice);
