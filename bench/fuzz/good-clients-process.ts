import type { Target } from './fuzzed-data-center.js';
import { GoodClient } from './good-clients.js';

const targets = JSON.parse(process.argv[2] ?? '[]') as readonly Target[];
const stopping = new AbortController();
const clients = targets.map((target) => new GoodClient(target));
const running = clients.map((client) => client.run(stopping.signal));
process.once('message', () => {
  stopping.abort();
  void Promise.all(running).then(() => process.send?.(clients.map(({ service }) => service)));
});
process.once('disconnect', () => {
  process.exit(0);
});
