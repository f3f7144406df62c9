import { attackGossip } from '../../../bench/fuzz/gossip/gossip-campaign.js';
import { encodedBy, vectorFiles } from '../../gossip/wire/vectors.js';
import { assert, suite } from '../../suite.js';

const seeds = vectorFiles.flatMap((file) => [...encodedBy(file).values()]);

suite('gossip under hostile bytes', (test) => {
  for (const secured of [false, true])
    test(`members ${secured ? 'with a key and a label' : 'without a key'} take noise, bombs and lies, and say nothing that would end a peer`, async () => {
      const { findings, packets, heard, after } = await attackGossip({
        ...{ level: 'members', seed: 11, forMs: 1500, secured, seeds },
        ...{ packetsPerSecond: 1000, streams: 8, longestStallMs: 1000 },
      });
      const told = findings.map(({ fault }) => fault).join('\n');
      assert.equal(findings, [], told);
      assert.ok(Object.keys(packets).length > 15);
      assert.ok(heard.packets > 0);
      assert.ok(after.refuted > 0);
      for (const why of ['malformed', 'truncated', 'too_large', 'stale', 'unexpected_answer'])
        assert.ok((after.dropped[why] ?? 0) > 0, `${why}: ${JSON.stringify(after.dropped)}`);
    });

  for (const secured of [false, true])
    test(
      `an agent ${secured ? 'with a key and a label' : 'without a key'} takes what pretends to be Serf, and broken requests; all still hear each other then`,
      async () => {
        const { findings, packets, requests, heard, after } = await attackGossip({
          ...{ level: 'agents', seed: 12, forMs: 1500, secured, seeds },
          ...{ packetsPerSecond: 1000, streams: 8, longestStallMs: 1000 },
        });
        const told = findings.map(({ fault }) => fault).join('\n');
        assert.equal(findings, [], told);
        assert.ok(Object.keys(packets).length > 30);
        assert.ok(Object.keys(requests).length > 5);
        assert.ok(heard.packets > 0 && heard.states > 2 && heard.answers > 4);
        for (const why of ['malformed', 'too_large', 'unexpected_answer'])
          assert.ok((after.dropped[why] ?? 0) > 0, `${why}: ${JSON.stringify(after.dropped)}`);
      },
      // Rumours find those who are real among those who are not.
      { timeoutMs: 60_000 },
    );
});
