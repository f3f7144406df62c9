import { connect } from 'node:net';

import { KernelMetrics } from '../../../controllers/kernel/metrics.js';
import { MetricsServer } from '../../../controllers/kernel/metrics-server.js';
import { assert, suite } from '../../suite.js';

suite('metrics server', (test) => {
  test('serves what was counted as Prometheus text, and nothing else', async () => {
    const metrics = new KernelMetrics({ data_center: 'd', member: 'math-1', type: 'math' });
    await using server = new MetricsServer(metrics.registry);
    const address = await server.start('127.0.0.1');
    metrics.admittedOf('math.add').inc(3);
    metrics.computeOf('math.add').observe(0.002);
    const answer = await fetch(`http://${address}/metrics`);
    const text = await answer.text();
    assert.is(answer.status, 200);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(text, /^fractory_invocations_admitted_total\{operation="math.add",.*\} 3$/m);
    assert.match(text, /^fractory_operation_compute_seconds_count\{.*operation="math.add"\} 1$/m);
    assert.match(text, /^fractory_leads\{.*member="math-1".*\} 0$/m);
    assert.is((await fetch(`http://${address}/secret`)).status, 404);
    assert.is((await fetch(`http://${address}/metrics`, { method: 'POST' })).status, 404);
  });

  test('answers one request for each connection, however many are sent ahead', async () => {
    const metrics = new KernelMetrics({ data_center: 'd', member: 'm', type: 't' });
    await using server = new MetricsServer(metrics.registry);
    const [host = '', port] = (await server.start('127.0.0.1')).split(':');
    const socket = connect({ host, port: Number(port) });
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString();
    });
    socket.on('error', () => undefined);
    socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(50));
    await new Promise((resolve) => socket.once('close', resolve));
    assert.ok(answer.split('HTTP/1.1 200').length - 1 <= 1);
    const again = await fetch(`http://${host}:${String(port)}/metrics`);
    assert.is(again.status, 200);
    await again.text();
  });

  test('is gone once disposed', async () => {
    const metrics = new KernelMetrics({ data_center: 'd', member: 'm', type: 't' });
    const server = new MetricsServer(metrics.registry);
    const address = await server.start('127.0.0.1');
    await server[Symbol.asyncDispose]();
    const failed = await fetch(`http://${address}/metrics`).then(
      () => false,
      () => true,
    );
    assert.ok(failed);
  });
});
