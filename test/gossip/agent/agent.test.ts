import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import { connect } from 'node:net';

import { pino } from 'pino';

import { Agent } from '../../../gossip/agent/agent.js';
import { HttpFace } from '../../../gossip/agent/http-face.js';
import { MAX_MAP_BYTES, MAX_VALUE_BYTES } from '../../../gossip/agent/replicated-map.js';
import { local } from '../../../gossip/core/profile.js';
import { endpointText } from '../../../gossip/net/address.js';
import { encodeMessage } from '../../../gossip/wire/messages.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { Changes } from '../changes.js';

/** A rumour may go to the same member each time: exchanges, which bring the rest, come often too. */
const quick = {
  ...local,
  ...{ probeIntervalMs: 100, probeTimeoutMs: 50, gossipIntervalMs: 20, suspicionMultiplier: 4 },
  pushPullIntervalMs: 1000,
};

/** Where Node.js tells which server begins to listen. */
const LISTENS = 'tracing:net.server.listen:asyncEnd';

interface Shown {
  readonly code: number;
  readonly body: Record<string, unknown>;
}

/** An agent and its HTTP face, until it is disposed of. */
async function agentNamed(name: string, token = '', changes = new Changes()) {
  const logged: { level: string; msg: string; err: { stack: string } }[] = [];
  const log = pino(
    { level: 'error' },
    { write: (line) => logged.push(JSON.parse(line) as (typeof logged)[number]) },
  );
  const agent = await Agent.start({
    ...{ name, port: 0, profile: quick, tags: { role: 'edge' }, log },
    onChange: changes.happened,
  });
  const merge = agent.map.merge.bind(agent.map);
  agent.map.merge = (heard) => {
    const isNews = merge(heard);
    changes.happened();
    return isNews;
  };
  let server: Server | undefined;
  const seen = (message: unknown): void => {
    ({ server } = message as { server: Server });
  };
  subscribe(LISTENS, seen);
  const face = await HttpFace.open(agent, '127.0.0.1', 0, token, log);
  unsubscribe(LISTENS, seen);
  const ask = async (method: string, path: string, body = '', headers = {}): Promise<Shown> => {
    const url = `http://127.0.0.1:${String(face.port)}${path}`;
    const asked = method === 'GET' ? { method, headers } : { method, headers, body };
    const response = await fetch(url, asked);
    return { code: response.status, body: (await response.json()) as Shown['body'] };
  };
  return {
    ...{ agent, ask, changes, logged, server, address: endpointText(agent.local) },
    raw: (text: string) => said(face.port, text),
    /** Says this, and is gone. */
    async cut(text: string) {
      const asked = once(server!, 'request') as Promise<[IncomingMessage]>;
      const socket = connect(face.port, '127.0.0.1');
      socket.write(text);
      const [request] = await asked;
      const gone = once(request, 'error');
      socket.destroy();
      await gone;
    },
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
    await one.changes.until(async () => {
      const { body } = await one.ask('GET', '/members');
      return JSON.stringify(body) === JSON.stringify({ Active: all, Dead: [], Left: [] });
    });
    await two.agent.stop();
    await one.changes.until(async () => {
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
    const health = await one.ask('GET', '/health');
    assert.is(health.body['Status'], 'ok');
    // A busy machine makes it doubt itself.
    assert.type(health.body['Awareness'], 'number');
  });

  test('tells what it dropped and why, and how often it refuted what was said of it', async () => {
    await using one = await agentNamed('one');
    const { body } = await one.ask('GET', '/info');
    assert.equal([body['Dropped'], body['Refuted']], [{}, 0]);
    const udp = createSocket('udp4');
    const { name, incarnation, port } = one.agent.local;
    const accusation = { kind: 'suspect', incarnation, name, from: 'nobody' } as const;
    // Told by a change, unlike the others that come before.
    const { address, versions, meta } = one.agent.local;
    const about = { incarnation: 1, address, port: 9, versions, meta };
    const last = encodeMessage({ kind: 'alive', name: 'last', ...about });
    for (const packet of [Uint8Array.of(99), encodeMessage(accusation), last])
      await new Promise((resolve) => {
        udp.send(packet, port, '127.0.0.1', resolve);
      });
    udp.close();
    await one.changes.until(() => one.agent.members().length === 2);
    const told = (await one.ask('GET', '/info')).body;
    assert.equal([told['Dropped'], told['Refuted']], [{ malformed: 1 }, 1]);
    assert.is(told['Incarnation'], incarnation + 1);
  });

  test('what is added at one is got at another, also by one that comes late', async () => {
    await using one = await agentNamed('one');
    await using two = await agentNamed('two');
    await two.agent.join([one.address]);
    assert.is((await one.ask('POST', '/add?key=a&val=1')).code, 200);
    assert.is((await two.ask('POST', '/add', 'key=b&val=two+words')).code, 200);
    assert.is((await two.ask('POST', '/add', '{"key": "c", "val": "3"}')).code, 200);
    await two.changes.until(async () => (await two.ask('GET', '/get?key=a')).code === 200);
    await one.changes.until(async () => (await one.ask('GET', '/get?key=c')).code === 200);
    await using late = await agentNamed('late');
    await late.agent.join([one.address]);
    const { body } = await late.ask('GET', '/get?key=b');
    assert.equal(body, { Key: 'b', Value: 'two words' });
    assert.is((await late.ask('POST', '/del?key=a')).code, 200);
    await one.changes.until(async () => (await one.ask('GET', '/get?key=a')).code === 404);
  });

  test('what is not there, not asked so or too large is told', async () => {
    await using one = await agentNamed('one');
    const asked: [number, RegExp, string, string, string?][] = [
      [404, /there is GET \/members, /, 'GET', '/nowhere'],
      [405, /is asked by POST, not GET/, 'GET', '/add?key=a&val=b'],
      [400, /key: is missing/, 'POST', '/add?val=b'],
      [400, /val: is missing/, 'POST', '/add?key=b'],
      [404, /there is no key "none"/, 'GET', '/get?key=none'],
      [400, /the body: is no JSON/, 'POST', '/add', '{broken'],
      [400, /val: is no text, number/, 'POST', '/add', '{"key": "a", "val": null}'],
      [400, /key: has 200 characters, .*128/, 'POST', `/add?key=${'x'.repeat(200)}&val=b`],
      [400, /has 2000 bytes, at most 768/, 'POST', '/add', `key=a&val=${'x'.repeat(2000)}`],
      [413, /more than 16384 bytes/, 'POST', '/add', `key=a&val=${'x'.repeat(20_000)}`],
    ];
    for (const [code, why, method, path, body] of asked) {
      const shown = await one.ask(method, path, body);
      assert.is(shown.code, code, `${method} ${path}`);
      assert.match(String(shown.body['Error']), why);
    }
    assert.is((await one.ask('POST', '/add?key=empty&val=')).code, 200);
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

  test('a fault of ours is logged with its stack, and who asks is told no more than that', async () => {
    await using one = await agentNamed('one');
    assert.equal(one.logged, []);
    Object.defineProperty(one.agent, 'host', {
      value: () => {
        throw new TypeError('a fault');
      },
    });
    const { code, body } = await one.ask('GET', '/info');
    assert.is(code, 500);
    assert.equal(body, { Error: 'the request was not answered' });
    assert.is(one.logged.length, 1);
    assert.match(one.logged[0]!.err.stack, /TypeError: a fault\n +at /);
    assert.match(await one.raw('GET // HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'), /^HTTP\/1.1 400 /);
    await one.cut('POST /add HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nke');
    assert.is((await one.ask('GET', '/health')).code, 200);
    assert.is(one.logged.length, 1);
  });

  test('a connection that could not be accepted ends nothing', async () => {
    await using one = await agentNamed('one');
    one.server!.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
    assert.is((await one.ask('GET', '/health')).code, 200);
    assert.match(one.logged[0]!.err.stack, /EMFILE/);
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
    const changes = new Changes();
    await using one = await agentNamed('one', '', changes);
    await using two = await agentNamed('two', '', changes);
    await using three = await agentNamed('three', '', changes);
    await two.agent.join([one.address]);
    await three.agent.join([one.address]);
    const all = [one, two, three];
    await changes.until(() => all.every(({ agent }) => agent.members().length === 3));
    for (let round = 0; round < 20; round++)
      for (const [at, { agent }] of all.entries())
        agent.set(`key-${String(round % 3)}`, `${String(round)} by ${String(at)}`);
    const ends = (): Set<string> =>
      new Set(
        all.map(({ agent: { map } }) =>
          JSON.stringify(['key-0', 'key-1', 'key-2'].map((key) => map.get(key))),
        ),
      );
    await changes.until(() => ends().size === 1);
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
    await one.changes.until(async () => {
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
