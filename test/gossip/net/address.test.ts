import {
  addressBytes,
  addressText,
  endpointText,
  parseEndpoint,
} from '../../../gossip/net/address.js';
import { assert, suite } from '../../suite.js';

suite('addresses of gossip', (test) => {
  test('IPv4 is four bytes however it is written, and comes back', () => {
    assert.equal([...addressBytes('192.168.0.7')], [192, 168, 0, 7]);
    assert.equal([...addressBytes('::ffff:192.168.0.7')], [192, 168, 0, 7]);
    assert.is(addressText(Uint8Array.of(10, 0, 0, 255)), '10.0.0.255');
  });

  test('IPv6 is sixteen bytes and comes back', () => {
    for (const [text, groups] of [
      ['::1', '0:0:0:0:0:0:0:1'],
      ['fe80::1:2%eth0', 'fe80:0:0:0:0:0:1:2'],
      ['2001:db8::', '2001:db8:0:0:0:0:0:0'],
      ['64:ff9b::10.0.0.1', '64:ff9b:0:0:0:0:a00:1'],
    ] as const) {
      const bytes = addressBytes(text);
      assert.is(bytes.length, 16);
      assert.is(addressText(bytes), groups);
    }
    const mapped = Uint8Array.from([...Array.from({ length: 10 }, () => 0), 255, 255, 1, 2, 3, 4]);
    assert.is(addressText(mapped), '1.2.3.4');
    assert.is(addressText(Uint8Array.of(1, 2, 3)), undefined);
  });

  test('an endpoint has a port, or the default one', () => {
    assert.is(endpointText(parseEndpoint('10.0.0.1:80', 7946)), '10.0.0.1:80');
    assert.is(endpointText(parseEndpoint(' 10.0.0.1 ', 7946)), '10.0.0.1:7946');
    assert.is(endpointText(parseEndpoint('[::1]:80', 7946)), '[0:0:0:0:0:0:0:1]:80');
    assert.is(endpointText(parseEndpoint('::1', 7946)), '[0:0:0:0:0:0:0:1]:7946');
    for (const bad of ['', 'localhost:80', '10.0.0.1:70000', '10.0.0:1', ':80', '10.0.0.1:x'])
      assert.throws(() => parseEndpoint(bad, 7946), /is not/, bad);
  });
});
