import { ChannelPool } from '../../runtime/channels.js';
import { ControllerServiceClient } from '../../protos/gen/fractory/v1/controller.js';
import { MathServiceClient } from '../../protos/gen/fractory/v1/math.js';
import { assert, suite } from '../suite.js';

suite('channel pool', (test) => {
  test('clients of one address share a channel, and each is made once', () => {
    const pool = new ChannelPool();
    const math = pool.client(MathServiceClient, '127.0.0.1:1');
    assert.is(pool.client(MathServiceClient, '127.0.0.1:1'), math);
    assert.is(pool.client(ControllerServiceClient, '127.0.0.1:1').getChannel(), math.getChannel());
    assert.is.not(pool.client(MathServiceClient, '127.0.0.1:2'), math);
    pool.close();
  });

  test('an address at which another process is now gets a fresh channel, one that is gone none', () => {
    const pool = new ChannelPool();
    const channelAt = (address: string): unknown =>
      pool.client(MathServiceClient, address).getChannel();
    const [here, there] = ['127.0.0.1:1', '127.0.0.1:2'] as const;
    const lives = (here: string, there: string): ReadonlyMap<string, string> =>
      new Map([
        ['127.0.0.1:1', here],
        ['127.0.0.1:2', there],
      ]);
    pool.retainLives(lives('a', 'b'));
    const before = [channelAt(here), channelAt(there)];
    pool.retainLives(lives('a', 'c'));
    assert.is(channelAt(here), before[0]);
    assert.is.not(channelAt(there), before[1]);
    pool.retainLives(new Map());
    assert.is.not(channelAt(here), before[0]);
    pool.close();
  });

  test('an ejected address gets a fresh channel', () => {
    const pool = new ChannelPool();
    const math = pool.client(MathServiceClient, '127.0.0.1:1');
    pool.eject('127.0.0.1:1');
    assert.is.not(pool.client(MathServiceClient, '127.0.0.1:1').getChannel(), math.getChannel());
    pool.close();
    pool.close();
  });
});
