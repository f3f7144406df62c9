import type { ChaosEvent } from '../../../launcher/chaos/events.js';
import { chaosReport } from '../../../launcher/chaos/report.js';
import { membersOf } from '../../../launcher/chaos/timeline-members.js';
import { timeline } from '../../../launcher/chaos/timeline.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite, throws } from '../../suite.js';
import { began, fault, run, serves } from './some-events.js';

const events: ChaosEvent[] = [
  began,
  run(100, 150, { run: 'a' }),
  fault(1, 1000, 'storage-1', { epoch: '5', leader: true }),
  { event: 'left', atMs: 1500, member: 'storage-1', type: 'storage', epoch: '5' },
  { event: 'leads', atMs: 1500, member: 'storage-2', type: 'storage', epoch: '6' },
  serves(1510, 'storage-2', '6'),
  run(1100, 1600, { run: 'b', attempts: 2 }),
  { event: 'joined', atMs: 2000, member: 'storage-1', type: 'storage', epoch: '9' },
  { event: 'back', atMs: 2010, fault: 1 },
  fault(2, 2500, 'zookeeper-1', { kind: 'pause' }),
  { event: 'healed', atMs: 3000, fault: 2 },
  run(2600, 3200, { run: 'c', outcome: 'wrong', detail: 'it wrote <nothing>' }),
  { event: 'ended', atMs: 4000 },
];

suite('the rows of the picture', (test) => {
  const rows = membersOf(events, 4000);

  test('everybody who was there or was hit has one', () => {
    assert.equal(
      rows.map(({ name }) => name),
      ['application-1', 'math-1', 'storage-1', 'storage-2', 'zookeeper-1'],
    );
  });

  test('it says when a member was registered and when it led', () => {
    const storage = rows.filter(({ name }) => name.startsWith('storage'));
    assert.equal(storage, [
      {
        name: 'storage-1',
        here: [
          [0, 1500],
          [2000, 4000],
        ],
        leads: [[0, 1500]],
      },
      { name: 'storage-2', here: [[0, 4000]], leads: [[1500, 4000]] },
    ]);
  });

  test('a member whose next life registers before the first is gone was there all the time', () => {
    const [, , storage] = membersOf(
      [
        began,
        { event: 'joined', atMs: 100, member: 'storage-1', type: 'storage', epoch: '9' },
        { event: 'left', atMs: 200, member: 'storage-1', type: 'storage', epoch: '5' },
      ],
      1000,
    );
    assert.equal(storage?.here, [[0, 1000]]);
  });
});

suite('the report', (test) => {
  test('has what was done, what was measured and what was wrong', () => {
    const report = chaosReport(events);
    assert.is(report.durationMs, 4000);
    assert.is(report.complete, true);
    assert.is(report.faults[0]?.newLeaderMs, 510);
    assert.equal(report.findings, [{ run: 'c', outcome: 'wrong', detail: 'it wrote <nothing>' }]);
  });

  test('the picture is one SVG with a row for each, a legend and no number that is none', () => {
    const svg = timeline(events);
    assert.match(svg, /^<svg xmlns/);
    assert.match(svg, /<\/svg>\n$/);
    for (const word of ['storage-2', 'zookeeper-1', 'kill', 'pause', 'lost, doubled or wrong'])
      assert.ok(svg.includes(word), word);
    assert.not.match(svg, /NaN|Infinity|undefined/);
  });

  test('an experiment without runs and faults has a picture too', () => {
    assert.not.match(timeline([began]), /NaN|Infinity|undefined/);
  });

  test('what is no experiment is refused', () => {
    throws(() => chaosReport(events.slice(1)), FractoryError, { reason: 'EXPERIMENT_DAMAGED' });
  });
});
