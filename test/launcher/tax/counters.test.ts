import { Counter, Registry } from 'prom-client';

import {
  difference,
  sameTraffic,
  sentBy,
  together,
  totalOf,
} from '../../../launcher/tax/counters.js';
import { assert, suite } from '../../suite.js';

const text = `# HELP fractory_wire_bytes_total Bytes, by peer
# TYPE fractory_wire_bytes_total counter
fractory_wire_bytes_total{peer="math-1",direction="sent",path="link",member="storage-1"} 100
fractory_wire_bytes_total{path="bulk",direction="sent",peer="math-1"} 1.5e3
fractory_wire_bytes_total{peer="math-1",direction="received",path="link"} 7
fractory_wire_bytes_total{peer="application-1",direction="sent",path="link"} 30
# TYPE fractory_wire_messages_total counter
fractory_wire_messages_total{peer="math-1",direction="sent",path="link"} 3
fractory_wire_messages_total{peer="application-1",direction="sent",path="link"} 1
fractory_other_total{peer="math-1",direction="sent"} 9
`;

suite('wire counters', (test) => {
  test('what a member sent is added up by peer, over all paths', () => {
    assert.equal(
      [...(sentBy('storage-1', text) ?? [])],
      [
        ['storage-1 -> math-1', { bytes: 1600, messages: 3 }],
        ['storage-1 -> application-1', { bytes: 30, messages: 1 }],
      ],
    );
  });

  test('what prom-client writes is understood, with labels that need escapes', async () => {
    const registry = new Registry();
    registry.setDefaultLabels({ member: 'a' });
    const counter = new Counter({
      ...{ name: 'fractory_wire_bytes_total', help: 'bytes', registers: [registry] },
      labelNames: ['peer', 'direction', 'path'],
    });
    counter.inc({ peer: 'b{"}\\', direction: 'sent', path: 'link' }, 5);
    const [flow] = [...(sentBy('a', await registry.metrics())?.values() ?? [])];
    assert.equal(flow, { bytes: 5, messages: 0 });
  });

  test('a node that has sent nothing yet is told from one that does not count', () => {
    assert.is(sentBy('a', '# TYPE fractory_wire_bytes_total counter\n')?.size, 0);
    assert.is(sentBy('a', '# TYPE fractory_leads gauge\nfractory_leads{} 1\n'), undefined);
  });

  test('a difference has what was added, and links that were not there before', () => {
    const before = new Map([
      ['a -> b', { bytes: 10, messages: 1 }],
      ['b -> a', { bytes: 4, messages: 1 }],
    ]);
    const after = new Map([
      ['a -> b', { bytes: 25, messages: 2 }],
      ['b -> a', { bytes: 4, messages: 1 }],
      ['a -> c', { bytes: 8, messages: 3 }],
    ]);
    const added = difference(before, after);
    assert.equal(
      [...added],
      [
        ['a -> b', { bytes: 15, messages: 1 }],
        ['a -> c', { bytes: 8, messages: 3 }],
      ],
    );
    assert.equal(totalOf(added), { bytes: 23, messages: 4 });
    assert.ok(sameTraffic(after, together([after])));
    assert.not(sameTraffic(before, after));
    assert.not(sameTraffic(after, before));
  });
});
