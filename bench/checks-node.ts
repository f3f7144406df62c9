import { Capability } from '../protos/gen/fractory/v1/capability.js';
import { KernelEnd } from './kernel-end.js';
import type { Belief } from './kernel-end.js';

// The far end of a round trip: says its port and the capability of its operation, and stops when its parent goes.
const end = new KernelEnd('far', process.argv[2] as Belief);
const port = await end.listen();
const root = end.objects.roots.get('bench.nothing');
if (!root) throw new Error('the far end has no operation');
end.meet({ far: port });
process.send?.({
  port,
  capability: Buffer.from(Capability.encode(root).finish()).toString('base64'),
});
process.on('message', (nearPort: number) => {
  end.meet({ far: port, near: nearPort });
  process.send?.('ready');
});
process.on('disconnect', () => {
  end.close();
});
