import { Agent } from '../../../gossip/agent/agent.js';
import { HttpFace } from '../../../gossip/agent/http-face.js';
import { local } from '../../../gossip/core/profile.js';
import { endpointText } from '../../../gossip/net/address.js';
import { assert, suite } from '../../suite.js';

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
    async [Symbol.asyncDispose]() {
      await face[Symbol.asyncDispose]();
      await agent.stop();
    },
  };
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

  test('with a token nobody is answered without it', async () => {
    await using one = await agentNamed('one', 'secret-of-the-edge');
    assert.is((await one.ask('GET', '/members')).code, 401);
    const wrong = { authorization: 'Bearer secret-of-the-egde' };
    assert.is((await one.ask('GET', '/members', '', wrong)).code, 401);
    const right = { authorization: 'Bearer secret-of-the-edge' };
    assert.is((await one.ask('GET', '/members', '', right)).code, 200);
  });
});
