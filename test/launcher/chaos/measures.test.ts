import type { ChaosEvent } from '../../../launcher/chaos/events.js';
import { bookOf } from '../../../launcher/chaos/measures.js';
import { assert, suite } from '../../suite.js';
import { began, fault, run, serves } from './some-events.js';

function faultOf(...events: ChaosEvent[]) {
  return bookOf([began, ...events]).fault(1);
}

suite('what is measured of a fault', (test) => {
  test('a leader that dies: noticed by the last list, replaced, back, and the next run', () => {
    const measure = faultOf(
      fault(1, 1000, 'storage-1', { epoch: '5', leader: true }),
      { event: 'noticed', atMs: 1400, fault: 1, by: 'chaos' },
      { event: 'noticed', atMs: 1500, fault: 1, by: 'application-1' },
      serves(1550, 'storage-2', '6'),
      run(1100, 1600, { attempts: 2 }),
      run(1580, 1620),
      { event: 'back', atMs: 3000, fault: 1 },
    );
    assert.is(measure?.noticedMs, 500);
    assert.is(measure?.newLeaderMs, 550);
    assert.is(measure?.newLeader, 'storage-2');
    assert.is(measure?.nextRunMs, 600);
    assert.is(measure?.backMs, 2000);
  });

  test('a run that was past the fault already proves nothing', () => {
    const first = fault(1, 1000, 'storage-1', { epoch: '5', leader: true });
    assert.is(faultOf(first, run(900, 1001))?.nextRunMs, undefined);
    assert.is(faultOf(first, run(900, 999, { attempts: 2 }))?.nextRunMs, undefined);
    assert.is(faultOf(first, run(900, 1200, { sends: 2 }))?.nextRunMs, 200);
    assert.is(faultOf(first, run(1001, 1200, { outcome: 'failed' }))?.nextRunMs, undefined);
  });

  test('only runs that need the type of the member count; for ZooKeeper all do', () => {
    const [math, server] = [fault(1, 1000, 'math-1', {}), fault(1, 1000, 'zookeeper-1', {})];
    assert.is(faultOf(math, run(1001, 1100, { kind: 'image-prediction' }))?.nextRunMs, undefined);
    assert.is(faultOf(math, run(1001, 1100, { kind: 'shift-left' }))?.nextRunMs, 100);
    assert.is(faultOf(server, run(1001, 1100))?.nextRunMs, 100);
  });

  test('the same life that serves again is no new leader, nor is one long after the heal', () => {
    const first = fault(1, 1000, 'storage-1', { kind: 'pause', epoch: '5', leader: true });
    const healed: ChaosEvent = { event: 'healed', atMs: 1500, fault: 1 };
    assert.is(faultOf(first, healed, serves(1600, 'storage-1', '5'))?.newLeaderMs, undefined);
    assert.is(faultOf(first, healed, serves(9000, 'storage-2', '7'))?.newLeaderMs, undefined);
    assert.is(faultOf(first, healed, serves(1700, 'storage-2', '7'))?.newLeaderMs, 700);
  });

  test('what comes behind another fault of the same member belongs to that', () => {
    const measure = faultOf(
      fault(1, 1000, 'storage-1', { epoch: '5', leader: true }),
      fault(2, 2000, 'storage-1', { epoch: '6', leader: true }),
      { event: 'noticed', atMs: 2500, fault: 1, by: 'chaos' },
      serves(2600, 'storage-2', '7'),
    );
    assert.is(measure?.noticedMs, undefined);
    assert.is(measure?.newLeaderMs, undefined);
  });
});

suite('how runs are counted', (test) => {
  test('each run is counted once, also if it turned out otherwise later', () => {
    const { runs, succeeded, failed, lost, doubled, wrong, retried, reasons } = bookOf([
      began,
      run(0, 10, { run: 'a' }),
      run(0, 10, { run: 'b', attempts: 3 }),
      run(0, 10, { run: 'c', outcome: 'failed', reason: 'DISK_FULL' }),
      run(0, 10, { run: 'd', outcome: 'lost' }),
      run(0, 10, { run: 'e' }),
      { event: 'found', atMs: 20, run: 'e', was: 'succeeded', outcome: 'doubled', detail: '' },
    ]).tally();
    assert.equal(
      { runs, succeeded, failed, lost, doubled, wrong },
      { runs: 5, succeeded: 2, failed: 1, lost: 1, doubled: 1, wrong: 0 },
    );
    assert.is(retried, 1);
    assert.equal(reasons, { DISK_FULL: 1 });
  });

  test('failover is over the faults that took a leader away; without any it is unknown', () => {
    const death = fault(1, 1000, 'storage-1', { epoch: '5', leader: true });
    assert.equal(bookOf([began, death, run(1001, 1100)]).failover(), { p50: null, p99: null });
    assert.equal(
      bookOf([began, death, serves(1050, 'storage-2', '6'), run(1001, 1100)]).failover(),
      { p50: 100, p99: 100 },
    );
  });
});
