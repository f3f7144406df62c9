import { ensembleIn } from './ensemble-fixture.js';

// Starts three servers in the folder that the argument names and stays, for tests that kill it.
const ensemble = await ensembleIn(process.argv[2]!, { servers: 3 });
await ensemble.start();
console.log(JSON.stringify(ensemble.servers.map(({ pid }) => pid)));
setInterval(() => undefined, 60_000);
