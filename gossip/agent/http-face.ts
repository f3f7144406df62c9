import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { status } from '@grpc/grpc-js';

import { FractoryError, invalidArgument } from '../../runtime/errors.js';
import { addressText } from '../net/address.js';
import type { TaggedMember } from '../serf/serf-member.js';
import type { Agent } from './agent.js';

const MAX_BODY_BYTES = 16 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;

interface Answer {
  readonly code: number;
  readonly body: unknown;
}

type Route = (agent: Agent, query: URLSearchParams) => Answer;

const routes: Readonly<Record<string, Route>> = {
  'GET /members': (agent) => ok(membersOf(agent.members())),
  'GET /info': (agent) => ok(infoOf(agent)),
  'GET /health': (agent) => ok({ Status: 'ok', Awareness: agent.awareness }),
  'GET /get': (agent, query) => {
    const key = required(query, 'key');
    const value = agent.map.get(key);
    return value === undefined
      ? { code: 404, body: { Error: `there is no key ${JSON.stringify(key)}` } }
      : ok({ Key: key, Value: value });
  },
  'POST /add': (agent, query) => {
    const key = required(query, 'key');
    agent.set(key, query.get('val') ?? query.get('value') ?? '');
    return ok({ Key: key });
  },
  'POST /del': (agent, query) => {
    const key = required(query, 'key');
    return agent.delete(key)
      ? ok({ Key: key })
      : { code: 404, body: { Error: `there is no key ${JSON.stringify(key)}` } };
  },
};

/** What an agent tells over HTTP, as JSON: `/members`, `/info`, `/health`, `/get`, and `/add`, `/del` by POST. */
export class HttpFace implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `token`: callers show it as `authorization: Bearer TOKEN`; empty = anybody may ask. */
  static async open(agent: Agent, host: string, port: number, token: string): Promise<HttpFace> {
    const server = createServer((request, response) => {
      void answer(agent, request, token).then((given) => {
        send(response, given);
      });
    });
    server.requestTimeout = REQUEST_TIMEOUT_MS;
    server.headersTimeout = REQUEST_TIMEOUT_MS;
    server.listen(port, host);
    await once(server, 'listening');
    return new HttpFace(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Never rejects. */
async function answer(agent: Agent, request: IncomingMessage, token: string): Promise<Answer> {
  try {
    if (token !== '' && !shows(request, token))
      return { code: 401, body: { Error: 'show the token: authorization: Bearer TOKEN' } };
    const { method = '', url = '/' } = request;
    const { pathname, searchParams } = new URL(url, 'http://agent');
    const route = routes[`${method} ${pathname}`];
    if (!route) return notFound(method, pathname);
    const query = method === 'POST' ? await withBody(request, searchParams) : searchParams;
    return route(agent, query);
  } catch (error) {
    if (error instanceof FractoryError)
      return { code: codeOf(error), body: { Error: error.message } };
    return { code: 400, body: { Error: 'the request can not be read' } };
  }
}

function send(response: ServerResponse, { code, body }: Answer): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

function ok(body: unknown): Answer {
  return { code: 200, body };
}

function notFound(method: string, pathname: string): Answer {
  const others = Object.keys(routes).filter((route) => route.endsWith(` ${pathname}`));
  const [other] = others;
  if (other !== undefined)
    return {
      code: 405,
      body: { Error: `${pathname} is asked by ${other.split(' ')[0] ?? ''}, not ${method}` },
    };
  return { code: 404, body: { Error: `there is ${Object.keys(routes).join(', ')}` } };
}

function required(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null || value === '') throw invalidArgument(name, 'is missing');
  return value;
}

/** Fields of the address and of the body, a form or JSON. */
async function withBody(
  request: IncomingMessage,
  query: URLSearchParams,
): Promise<URLSearchParams> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > MAX_BODY_BYTES)
      throw new FractoryError(
        status.RESOURCE_EXHAUSTED,
        'BODY_TOO_LARGE',
        `the body has more than ${String(MAX_BODY_BYTES)} bytes`,
      );
  }
  const fields = new URLSearchParams(query);
  for (const [name, value] of fieldsOf(text)) fields.set(name, value);
  return fields;
}

function fieldsOf(text: string): Iterable<[string, string]> {
  if (!text.trimStart().startsWith('{')) return new URLSearchParams(text);
  const parsed = JSON.parse(text) as Record<string, unknown>;
  return Object.entries(parsed).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
}

function shows({ headers }: IncomingMessage, token: string): boolean {
  const expected = Buffer.from(`Bearer ${token}`);
  const shown = Buffer.from(headers.authorization ?? '');
  return shown.length === expected.length && timingSafeEqual(shown, expected);
}

function codeOf({ code }: FractoryError): number {
  if (code === status.INVALID_ARGUMENT) return 400;
  return code === status.RESOURCE_EXHAUSTED ? 413 : 500;
}

interface ShownMember {
  readonly Name: string;
  readonly IP: string;
  readonly Port: number;
}

function membersOf(members: readonly TaggedMember[]): Record<string, ShownMember[]> {
  const shown = (...states: string[]): ShownMember[] =>
    members
      .filter(({ state }) => states.includes(state))
      .map(({ name, address, port }) => ({
        Name: name,
        IP: addressText(address) ?? '',
        Port: port,
      }))
      .sort((one, other) => (one.Name < other.Name ? -1 : 1));
  return { Active: shown('alive', 'suspect'), Dead: shown('dead'), Left: shown('left') };
}

function infoOf(agent: Agent): object {
  const { name, address, port, tags, incarnation } = agent.local;
  return {
    ...{ Name: name, IP: addressText(address) ?? '', Port: port, Tags: tags },
    ...agent.host(),
    ...{ AgentUptime: agent.uptimeSeconds, Incarnation: incarnation },
    ...{ Awareness: agent.awareness, Keys: agent.map.size },
  };
}
