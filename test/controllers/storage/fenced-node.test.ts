import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { math, sequence, storage } from '../../../applications/sdk/index.js';
import { assert, suite } from '../../suite.js';
import { Nodes } from '../kernel/nodes.js';

suite('a storage leader that is fenced', (test) => {
  test('registers again above the fence, and the run succeeds', async () => {
    await using nodes = await Nodes.start();
    await nodes.math('math-1');
    await nodes.application('application-1');
    const { coordinator } = nodes.node('application-1');
    const epoch = (): bigint | undefined =>
      coordinator.members().find(({ id }) => id === 'storage-1')?.epoch;
    await nodes.storage('storage-1');
    const before = epoch() ?? 0n;
    // As if the folder came from a data center whose clock was ahead.
    const fence = before + (1n << 40n);
    const folder = path.join(nodes.folder, 'storage', '.fractory', 'fence');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, String(fence).padStart(20, '0')), '');
    const flow = sequence(
      math.add({ input: 1n, by: 2n }),
      storage.write({ client: 'admin', name: 'sum.txt' }),
    );
    const { attempts } = await nodes.client().run(flow, { budgetMs: 8000 });
    assert.ok(attempts > 1);
    assert.ok((epoch() ?? 0n) > fence);
  });
});
