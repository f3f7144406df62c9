import { once } from 'node:events';
import { connect } from 'node:net';

import { Agent } from '../../../gossip/agent/agent.js';
import { HttpFace } from '../../../gossip/agent/http-face.js';
import { MAX_MAP_BYTES, MAX_VALUE_BYTES } from '../../../gossip/agent/replicated-map.js';
import { local } from '../../../gossip/core/profile.js';
import { endpointText } from '../../../gossip/net/address.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';

const quick = {
  ...local,
  ...{ probeIntervalMs: 100, probeTimeoutMs: 50, gossipIntervalMs: 20, suspicionMultiplier: 4 },
};

interface Shown {
  readonly code: number;
  readonly body: Record<string, unknown>;
}

/** An agent and its HTTP face, until it is disposed of. */
async function agentNamed(name: string, token = '') {
  const agent = await Agent.start({ name, port: 0, profile: quick, tags: { role: 'edge' } });
  const face = await HttpFace.open(agent, '127.0.0.1', 0, token);
  const ask = async (method: string, path: string, body = '', headers = {}): Promise<Shown> => {
    const url = `http://127.0.0.1:${String(face.port)}${path}`;
    const asked = method === 'GET' ? { method, headers } : { method, headers, body };
    const response = await fetch(url, asked);
    return { code: response.status, body: (await response.json()) as Shown['body'] };
  };
  return {
    ...{ agent, ask, address: endpointText(agent.local) },
    raw: (text: string) => said(face.port, text),
    async [Symbol.asyncDispose]() {
      await face[Symbol.asyncDispose]();
      await agent.stop();
    },
  };
}

/** What is answered to bytes as they are. */
async function said(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  let answer = '';
  socket.on('data', (data) => {
    answer += data.toString();
    if (answer.includes('\r\n\r\n')) socket.end();
  });
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return answer;
}

/** Asks until it is so. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

suite('an edge agent', (test) => {
  test('tells its members by the keys Active and Dead, with Name, IP and Port', async () => {
    await using one = await agentNamed('one');
    await using two = await agentNamed('two');
    await two.agent.join([one.address]);
    const port = (address: string): number => Number(address.split(':')[1]);
    const all = [
      { Name: 'one', IP: '127.0.0.1', Port: port(one.address) },
      { Name: 'two', IP: '127.0.0.1', Port: port(two.address) },
    ];
    await until(async () => {
      const { body } = await one.ask('GET', '/members');
      return JSON.stringify(body) === JSON.stringify({ Active: all, Dead: [], Left: [] });
    });
    await two.agent.stop();
    await until(async () => {
      const { body } = await one.ask('GET', '/members');
      return JSON.stringify(body['Dead']) === JSON.stringify(all.slice(1));
    });
  });

  test('tells of itself and of its machine', async () => {
    await using one = await agentNamed('one');
    const { code, body } = await one.ask('GET', '/info');
    assert.is(code, 200);
    assert.is(body['Name'], 'one');
    assert.is(body['IP'], '127.0.0.1');
    assert.equal(body['Tags'], { role: 'edge' });
    for (const key of ['CPU', 'Cores', 'Uptime', 'AgentUptime'])
      assert.type(body[key], 'number', key);
    assert.equal(await one.ask('GET', '/health'), {
      code: 200,
      body: { Status: 'ok', Awareness: 0 },
    });
  });

  test('what is added at one is got at another, also by one that comes late', async () => {
    await using one = await agentNamed('one');
    await using two = await agentNamed('two');
    await two.agent.join([one.address]);
    assert.is((await one.ask('POST', '/add?key=a&val=1')).code, 200);
    assert.is((await two.ask('POST', '/add', 'key=b&val=two+words')).code, 200);
    assert.is((await two.ask('POST', '/add', '{"key": "c", "val": "3"}')).code, 200);
    await until(async () => (await two.ask('GET', '/get?key=a')).code === 200);
    await until(async () => (await one.ask('GET', '/get?key=c')).code === 200);
    await using late = await agentNamed('late');
    await late.agent.join([one.address]);
    const { body } = await late.ask('GET', '/get?key=b');
    assert.equal(body, { Key: 'b', Value: 'two words' });
    assert.is((await late.ask('POST', '/del?key=a')).code, 200);
    await until(async () => (await one.ask('GET', '/get?key=a')).code === 404);
  });

  test('what is not there, not asked so or too large is told', async () => {
    await using one = await agentNamed('one');
    const asked: [number, string, string, string?][] = [
      [404, 'GET', '/nowhere'],
      [405, 'GET', '/add?key=a&val=b'],
      [400, 'POST', '/add?val=b'],
      [404, 'GET', '/get?key=none'],
      [400, 'POST', '/add', '{broken'],
      [400, 'POST', '/add', `key=a&val=${'x'.repeat(2000)}`],
      [413, 'POST', '/add', `key=a&val=${'x'.repeat(20_000)}`],
    ];
    for (const [code, method, path, body] of asked) {
      const shown = await one.ask(method, path, body);
      assert.is(shown.code, code, `${method} ${path}`);
      assert.type(shown.body['Error'], 'string');
    }
  });

  test('a body that never ends is cut off, and pages of a browser are not answered without a token', async () => {
    await using one = await agentNamed('one');
    const from = { origin: 'http://elsewhere.example' };
    assert.is((await one.ask('POST', '/add?key=a&val=b', '', from)).code, 403);
    const named = await one.raw('GET /members HTTP/1.1\r\nHost: rebound.example\r\n\r\n');
    assert.match(named, /^HTTP\/1.1 403 /);
    const long = 'POST /add HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n';
    const chunk = `5000\r\n${'x'.repeat(0x5000)}\r\n`;
    assert.match(await one.raw(long + chunk), /^HTTP\/1.1 413 /);
    assert.match(await one.raw('nonsense\r\n\r\n'), /^HTTP\/1.1 400 /);
    const headOnly = await one.raw('HEAD /members HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    assert.match(headOnly, /^HTTP\/1.1 200 [^]*\r\n\r\n$/);
  });

  test('keys that objects have by themselves are keys like others', async () => {
    await using one = await agentNamed('one');
    for (const key of ['__proto__', 'constructor', 'toString']) {
      assert.is((await one.ask('GET', `/get?key=${key}`)).code, 404);
      assert.is((await one.ask('POST', '/add', `{"key": "${key}", "val": 1}`)).code, 200);
      assert.equal((await one.ask('GET', `/get?key=${key}`)).body, { Key: key, Value: '1' });
    }
    assert.is((await one.ask('POST', '/add', '{"key": {}, "val": 1}')).code, 400);
  });

  test('a map that is full says so, and takes shorter values still', async () => {
    await using one = await agentNamed('one');
    const value = 'x'.repeat(MAX_VALUE_BYTES);
    for (let at = 0; at < MAX_MAP_BYTES / MAX_VALUE_BYTES; at++)
      try {
        one.agent.map.set(`key-${String(at)}`, value);
      } catch {
        break;
      }
    const { code, body } = await one.ask('POST', '/add', `key=more&val=${value}`);
    assert.is(code, 507);
    assert.match(String(body['Error']), /the limit max_map_bytes is 4194304/);
    assert.is((await one.ask('POST', '/add?key=key-0&val=short')).code, 200);
  });

  test('members that write the same key at the same time agree in the end', async () => {
    await using one = await agentNamed('one');
    await using two = await agentNamed('two');
    await using three = await agentNamed('three');
    await two.agent.join([one.address]);
    await three.agent.join([one.address]);
    const all = [one, two, three];
    await until(() => Promise.resolve(all.every(({ agent }) => agent.members().length === 3)));
    for (let round = 0; round < 20; round++)
      for (const [at, { agent }] of all.entries())
        agent.set(`key-${String(round % 3)}`, `${String(round)} by ${String(at)}`);
    const ends = (): Set<string> =>
      new Set(
        all.map(({ agent: { map } }) =>
          JSON.stringify(['key-0', 'key-1', 'key-2'].map((key) => map.get(key))),
        ),
      );
    await until(() => Promise.resolve(ends().size === 1));
  });

  test('whose name is taken is told so when it joins, and the one that has it stays', async () => {
    await using one = await agentNamed('one');
    await using two = await agentNamed('two');
    await two.agent.join([one.address]);
    await using twin = await agentNamed('two');
    const taken = twin.agent.join([one.address]);
    const error = await rejects(taken, FractoryError);
    assert.is(error.reason, 'NAME_TAKEN');
    assert.match(error.message, new RegExp(`two is taken by ${two.address}: give another one`));
    await twin.agent.stop();
    assert.ok((await one.ask('GET', '/members')).body['Active']);
    await two.agent.stop();
    // Nor can it come back under its name elsewhere while it is remembered as dead.
    await until(async () => {
      const { body } = await one.ask('GET', '/members');
      return JSON.stringify(body['Dead']).includes('two');
    });
    await using moved = await agentNamed('two');
    await rejects(moved.agent.join([one.address]), FractoryError);
  });

  test('with a token nobody is answered without it', async () => {
    await using one = await agentNamed('one', 'secret-of-the-edge');
    assert.is((await one.ask('GET', '/members')).code, 401);
    const wrong = { authorization: 'Bearer secret-of-the-egde' };
    assert.is((await one.ask('GET', '/members', '', wrong)).code, 401);
    const right = { authorization: 'Bearer secret-of-the-edge' };
    assert.is((await one.ask('GET', '/members', '', right)).code, 200);
  });
});
