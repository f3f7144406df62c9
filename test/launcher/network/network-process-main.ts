import { once } from 'node:events';

import { recordedNetwork } from '../../../launcher/network/data-center-network.js';
import { PrivateNetwork } from '../../../launcher/network/private-network.js';
import { enterPrivately } from '../../../launcher/network/private-process.js';

// Makes the network of `network-process.ts`, in namespaces of its own; lives as long as its standard input.
await enterPrivately(process.argv[2] ?? '');
const network = await PrivateNetwork.make(['a', 'b', 'c']);
await network.add('zookeeper-1', 'zookeeper');
process.stdout.write(`${JSON.stringify(recordedNetwork(network))}\n`);
await once(process.stdin.resume(), 'end');
await network[Symbol.asyncDispose]();
