import { Runner } from '../../../controllers/application/runner.js';
import { Topology } from '../../../protos/gen/fractory/v1/application.js';
import { silentLogger } from '../../../runtime/logger.js';
import { RunRecord } from '../../../services/application/run-record.js';
import { listValue, toPlain } from '../../../protos/values.js';
import { assert, suite } from '../../suite.js';
import { chain, graph, map, one, step } from '../../services/application/graphs.js';
import { cases, check, limits } from './contract.js';
import { MemoryAccess } from './kernel-access.js';
import { Operations } from './operations.js';

const TOPOLOGIES = { ring: Topology.RING, star: Topology.STAR };

suite('ring and star, on kernels in memory', (test) => {
  for (const [name, topology] of Object.entries(TOPOLOGIES))
    for (const given of cases)
      test(`${name}: ${given.name}`, async () => {
        // Disposing it asserts that nothing is left in the tables of any node.
        await using access = new MemoryAccess(limits);
        for (const [index, member] of ['math-1', 'math-2', 'math-3'].entries())
          access.join(member, new Operations().all, index);
        const run = new RunRecord({
          ...{ id: 'r', graph: given.graph, topology, budgetMs: 5000, startedAtMs: 1 },
        });
        await new Runner(access, silentLogger()).execute(run);
        check(given, run.ended!);
        // What was released is aborted in the next turns.
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      });

  for (const [name, topology] of Object.entries(TOPOLOGIES))
    test(`${name}: as many steps as there may be, in a row and inside a map`, async () => {
      const steps = chain(1023, 0n);
      const inside = {
        ...steps,
        steps: [step('s0'), ...steps.steps.slice(1)],
        edges: [...steps.edges, { from: '', to: 's0', argument: '', onFailure: false }],
      };
      const row = chain(1024, 0n);
      const mapped = graph([map('m', inside, { input: listValue([one, one]) })]);
      for (const [sent, result] of [
        [row, '1024'],
        [mapped, ['1024', '1024']],
      ] as const) {
        await using access = new MemoryAccess();
        access.join('math-1', new Operations().all);
        const run = new RunRecord({
          ...{ id: 'r', graph: sent, topology, budgetMs: 8000, startedAtMs: 1 },
        });
        await new Runner(access, silentLogger()).execute(run);
        assert.is(run.ended?.failure?.message, undefined);
        assert.equal(toPlain(run.ended?.result), result);
      }
    });
});
