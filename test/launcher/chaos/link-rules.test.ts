import { addressesOf, checkNames, linkRules } from '../../../launcher/chaos/link-rules.js';
import type { LinkFault } from '../../../launcher/chaos/link-faults.js';
import type { RecordedNetwork } from '../../../launcher/run-file.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite, throws } from '../../suite.js';

function networkOf(...names: readonly string[]): RecordedNetwork {
  return {
    ...{ switchNamespace: 's', driverAddress: '10.0.0.1', coordinatorAddress: '10.0.0.2' },
    links: names.map((name, index) => ({
      kind: name.startsWith('zookeeper') ? ('zookeeper' as const) : ('node' as const),
      ...{ name, address: `10.0.0.${String(10 + index)}`, namespace: name, port: name },
    })),
  };
}

const NETWORK = networkOf('storage-1', 'storage-2', 'zookeeper-1');
const TWIN = networkOf('storage-1', 'storage-2');

/** Rules alone, without what stands around them. */
function rules(fault: Partial<LinkFault>, network = NETWORK): string[] {
  const text = linkRules([{ id: '', ...fault } as LinkFault], network);
  return text.split('\n').filter((line) => line.startsWith('  ip ')).map((line) => line.trim()); // prettier-ignore
}

suite('rules of the switch', (test) => {
  test('a cut drops both ways, to and from all others and nobody else', () => {
    assert.equal(rules({ kind: 'cut', members: ['storage-1'], oneWay: false }), [
      'ip saddr { 10.0.0.10 } ip daddr { 10.0.0.1, 10.0.0.2, 10.0.0.11, 10.0.0.12 } counter drop',
      'ip saddr { 10.0.0.1, 10.0.0.2, 10.0.0.11, 10.0.0.12 } ip daddr { 10.0.0.10 } counter drop',
    ]);
  });

  test('members of one cut still reach each other', () => {
    const members = ['storage-1', 'zookeeper-1'];
    const [there] = rules({ kind: 'cut', members, from: ['nodes'], oneWay: false });
    assert.is(there, 'ip saddr { 10.0.0.10, 10.0.0.12 } ip daddr { 10.0.0.11 } counter drop');
  });

  test('a cut in one way drops what its members send', () => {
    assert.equal(rules({ kind: 'cut', members: ['storage-1'], from: ['clients'], oneWay: true }), [
      'ip saddr { 10.0.0.10 } ip daddr { 10.0.0.1 } counter drop',
    ]);
  });

  test('zookeeper is its servers, or the embedded coordinator where there are none', () => {
    assert.equal(addressesOf('zookeeper', NETWORK), ['10.0.0.12']);
    assert.equal(addressesOf('zookeeper', TWIN), ['10.0.0.2']);
    assert.equal(addressesOf('nodes', NETWORK), ['10.0.0.10', '10.0.0.11']);
    assert.equal(addressesOf('storage-2', NETWORK), ['10.0.0.11']);
  });

  test('loss is drawn for each packet, each way; the smallest is not none', () => {
    assert.equal(rules({ kind: 'slow', member: 'storage-2', loss: 0.05 }), [
      'ip saddr 10.0.0.11 numgen random mod 1000000 < 50000 counter drop',
      'ip daddr 10.0.0.11 numgen random mod 1000000 < 50000 counter drop',
    ]);
    assert.match(rules({ kind: 'slow', member: 'storage-2', loss: 1e-9 })[0] ?? '', '< 1 ');
    assert.equal(rules({ kind: 'slow', member: 'storage-2', bitsPerSecond: 1e6 }), []);
  });

  test('all rules take the place of those before at once; none are left where there is no fault', () => {
    const table = 'table bridge fractory_faults\ndelete table bridge fractory_faults\n';
    assert.is(linkRules([], NETWORK), table);
    const cut = { kind: 'cut', id: '', members: ['storage-1'], oneWay: false } as const;
    assert.ok(linkRules([cut], NETWORK).startsWith(`${table}table bridge fractory_faults {`));
  });

  test('a name without a link is refused, with the one that was meant', () => {
    const error = throws(
      () => {
        checkNames('members', ['storage-3'], ['math-1', 'storage-1']);
      },
      FractoryError,
      { reason: 'UNKNOWN_LINK' },
    );
    assert.match(
      error.message,
      'members: storage-3 has no link of its own (did you mean storage-1?)',
    );
  });
});
