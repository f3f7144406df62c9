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

  test('an ejected address gets a fresh channel', () => {
    const pool = new ChannelPool();
    const math = pool.client(MathServiceClient, '127.0.0.1:1');
    pool.eject('127.0.0.1:1');
    assert.is.not(pool.client(MathServiceClient, '127.0.0.1:1').getChannel(), math.getChannel());
    pool.close();
    pool.close();
  });
});
