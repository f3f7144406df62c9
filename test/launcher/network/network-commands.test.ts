import {
  delayCommand,
  inside,
  nodeCommands,
  rateCommand,
  switchCommands,
} from '../../../launcher/network/network-commands.js';
import { assert, suite } from '../../suite.js';

suite('commands of a private network', (test) => {
  test('a node gets a namespace, a link to the bridge and an address of its own', () => {
    const lines = nodeCommands({ namespace: 'n', number: 2 }, 's').map((line) => line.join(' '));
    assert.equal(lines, [
      'ip netns add n',
      'ip -n n link set lo up',
      'ip -n n link add eth0 type veth peer name port2 netns s',
      'ip -n n address add 10.231.0.12/24 dev eth0',
      'ip -n n link set eth0 up',
      'ip -n s link set port2 master bridge0 up',
    ]);
    assert.ok(switchCommands('s').some((line) => line.join(' ') === 'ip netns add s'));
  });

  test('the rate stands alone or behind the delay; fast links have more credit', () => {
    const gigabit = rateCommand('eth0', { bitsPerSecond: 1e9 }).join(' ');
    assert.is(
      gigabit,
      'tc qdisc replace dev eth0 root tbf rate 1000000000bit burst 32768 latency 100ms',
    );
    assert.match(
      rateCommand('eth0', { bitsPerSecond: 10e9 }, true).join(' '),
      / parent 1:1 handle 10: tbf rate 10000000000bit burst 125000 /,
    );
    assert.is(
      inside('/run/netns/n', delayCommand('eth0', 100)).join(' '),
      'nsenter --net=/run/netns/n -- tc qdisc replace dev eth0 root handle 1: netem delay 100us limit 100000',
    );
  });
});
