import type { NetworkInterfaceInfo } from 'node:os';

import { isPrivateNetwork } from '../../config/private-network.js';
import { assert, suite } from '../suite.js';
import { IniFolder, STORAGE } from './ini-folder.js';

const CLAIM = { FRACTORY_PRIVATE_NETWORK: '1' };

function one(address: string, internal = false): NetworkInterfaceInfo {
  const family = address.includes(':') ? 'IPv6' : 'IPv4';
  const facts = { address, internal, netmask: '', mac: '', cidr: null };
  return family === 'IPv4' ? { ...facts, family } : { ...facts, family, scopeid: 0 };
}

const LOOPBACK = { lo: [one('127.0.0.1', true), one('::1', true)] };
const LINK = [one('10.231.0.12'), one('fe80::1')];

suite('a private network', (test) => {
  test('is where the launcher says so and every interface leads nowhere else', () => {
    const interfaces = { ...LOOPBACK, eth0: LINK };
    assert.is(isPrivateNetwork(CLAIM, () => interfaces), true); // prettier-ignore
    assert.is(isPrivateNetwork({}, () => interfaces), false); // prettier-ignore
  });

  for (const [what, address] of [
    ['another network', '192.168.1.7'],
    ['one whose name begins alike', '10.231.10.7'],
    ['the internet', '2001:db8::7'],
  ] as const)
    test(`is none where an interface leads to ${what}`, () => {
      const interfaces = { ...LOOPBACK, eth0: LINK, eth1: [one(address)] };
      assert.is(isPrivateNetwork(CLAIM, () => interfaces), false); // prettier-ignore
    });

  test('the claim alone opens nothing: this machine has other interfaces, or the mode is refused', async () => {
    await using folder = await IniFolder.create(`[DataCenter]\ngrpc_ip = 10.0.0.7\n${STORAGE}`);
    const environment = { ...CLAIM };
    const interfaces = await folder.problems({}).then((problems) => problems.length);
    assert.is(interfaces, 1);
    if (isPrivateNetwork(environment)) return;
    const [problem] = await folder.problems(environment);
    assert.match(problem?.expected ?? '', 'token or mtls');
  });
});
