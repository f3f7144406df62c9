import sharp from 'sharp';

import { math, repeat, sequence, step, storage } from '../../../applications/sdk/index.js';
import type { None, Text } from '../../../applications/sdk/index.js';
import { printedPlan } from '../../../applications/sdk/plan/formats.js';
import { graphOf } from '../../../applications/sdk/flow/graph.js';
import { planOf } from '../../../applications/sdk/plan/plan.js';
import { Topology } from '../../../protos/gen/fractory/v1/application.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite, throws } from '../../suite.js';
import { ensemble, gallery, planned } from './plans.js';

const TEXT = `plan of gallery: 7 steps as a ring, 30 s at most; nothing has run

list-1  storage.list on storage-1
    fixed:   client = "ada", as = "names"
    yields   bytes
map-2  each element, 3 at a time
    takes    list-1
    yields   list
    read-3  storage.read on storage-1
        takes    name from the element
        fixed:   client = "ada"
        yields   bytes
    predict-4  cnn.predict on cnn-1
        takes    read-3
        at most  500 ms
        yields   bytes, the result of the element
    explain-5  application.explain on application-1
        takes    the failure of read-3 or predict-4
        yields   bytes, the result of the element
rows-6  application.rows on application-1
    takes    input[0] from list-1, input[1] from map-2
    fixed:   columns = "picture,prediction"
    yields   bytes
write-7  storage.write on storage-1
    takes    rows-6
    fixed:   client = "ada", name = "report.json"
    yields   bytes, the result`;

const MERMAID = `flowchart TD
  s1["list-1<br/>storage.list on storage-1<br/>client = #34;ada#34;, as = #34;names#34;"]
  subgraph s2 ["map-2: each element, 3 at a time"]
    s2in(["element"])
    s3["read-3<br/>storage.read on storage-1<br/>client = #34;ada#34;"]
    s4["predict-4<br/>cnn.predict on cnn-1"]
    s5["explain-5<br/>application.explain on application-1"]
    s2in -->|"name"| s3
    s3 --> s4
    s3 -.->|"failure"| s5
    s4 -.->|"failure"| s5
    s2out(["its result"])
    s4 --> s2out
    s5 --> s2out
  end
  s6["rows-6<br/>application.rows on application-1<br/>columns = #34;picture,prediction#34;"]
  s7["write-7<br/>storage.write on storage-1<br/>client = #34;ada#34;, name = #34;report.json#34;"]
  s1 --> s2
  s1 -->|"input[0]"| s6
  s2 -->|"input[1]"| s6
  s6 --> s7
  result(["result"])
  s7 --> result`;

suite('printed plans', (test) => {
  test('as text: each step with what it takes, what it may touch and how long', () => {
    assert.fixture(printedPlan(planned('gallery', gallery), 'text').join('\n'), TEXT);
  });

  test('what a step yields is known where its form is', () => {
    const flow = storage.read({ client: 'ada', name: 'n.txt', as: 'integer' });
    const graph = graphOf('form', flow);
    const kinds = { output: ['bytes', 'text', 'integer'], idempotent: true, inputs: [], map: '' };
    const steps = [
      { step: 'read-1', members: ['storage-1'], fixed: graph.steps[0]!.arguments, ...kinds },
    ].map((step) => ({ ...step, timeoutMs: 0, retries: 0, operation: 'storage.read' }));
    const plan = planOf(graph, Topology.RING, { steps, budgetMs: 1000 });
    assert.match(printedPlan(plan, 'text').join('\n'), /yields {3}integer, the result$/);
  });

  test('as Mermaid: maps are subgraphs, failures are dotted', () => {
    assert.fixture(printedPlan(planned('gallery', gallery), 'mermaid').join('\n'), MERMAID);
  });

  test('as JSON: one object, with the edges in and what is fixed', () => {
    const [line = ''] = printedPlan(planned('ensemble', ensemble), 'json');
    const { steps, ...rest } = JSON.parse(line) as { steps: Record<string, unknown>[] };
    assert.equal(rest, { plan: 'ensemble', topology: 'ring', budgetMs: 30_000 });
    assert.equal(steps[2], {
      ...{ step: 'predict-3', operation: 'cnn.predict', members: ['cnn-1'], fixed: { model: 'b' } },
      inputs: [{ argument: 'input', from: 'read-1', onFailure: false }],
      ...{ output: ['bytes'], idempotent: true, timeoutMs: 0, retries: 1, end: false },
    });
    assert.equal(
      steps.map(({ end }) => end),
      [false, false, false, false, true],
    );
  });

  test('as SVG: a picture that a renderer takes, with a box for each step', async () => {
    const plan = planned('gallery', gallery);
    const svg = printedPlan(plan, 'svg').join('\n');
    const { format, width, height } = await sharp(Buffer.from(svg)).metadata();
    assert.is(format, 'svg');
    assert.ok(
      width > 300 && width < 800 && height > 600 && height < 1500,
      `${String(width)}x${String(height)}`,
    );
    for (const id of [
      'list-1',
      'map-2: each',
      'read-3',
      'predict-4',
      'explain-5',
      'rows-6',
      'write-7',
    ])
      assert.is(svg.split(`>${id}`).length, 2, id);
    assert.is(svg.match(/stroke-dasharray="5 4"/g)?.length, 2);
    assert.match(svg, />\[0\]</);
    assert.is(svg.match(/>failure</g)?.length, 2);
    // Words stand above all arrows.
    assert.ok(svg.lastIndexOf('marker-end') < svg.lastIndexOf('paint-order'));
    // The renderer throws where it is not well-formed.
    await sharp(Buffer.from(svg)).png().toBuffer();
  });

  test('what is fixed may be anything: it is cut short and never breaks the form', async () => {
    const nasty = step<None, Text>('x.y', {
      a: '</text><script>"&`#;'.repeat(20),
      b: 10n ** 100n,
      c: 0.5,
      d: ['p', 1n, '<'],
    });
    const plan = planned('<&>', sequence(nasty));
    const svg = printedPlan(plan, 'svg').join('\n');
    assert.not.match(svg, /<script>/);
    await sharp(Buffer.from(svg)).png().toBuffer();
    assert.not.match(printedPlan(plan, 'mermaid').join('\n'), /<script>|`/);
    const text = printedPlan(plan, 'text').join('\n');
    assert.match(text, /b = 1000000000\S*\.\.\., c = 0\.5, d = \["p", 1, "<"\]/);
  });

  test('hundreds of steps are drawn at once; more are refused by name', () => {
    const chain = (length: number) =>
      planned(
        'chain',
        sequence(math.factorial({ input: 1n }), repeat(length, math.add({ by: 1n }))),
      );
    assert.ok(printedPlan(chain(299), 'svg').length > 299);
    const error = throws(() => printedPlan(chain(300), 'svg'), FractoryError, {
      reason: 'LIMIT_EXCEEDED',
    });
    assert.match(error.message, /steps of chain is 301.* 300/);
  });
});
