import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { AddressInfo } from 'node:net';

import { status } from '@grpc/grpc-js';

import { FractoryError, invalidArgument, messageOf } from '../../runtime/errors.js';
import { silentLogger } from '../../runtime/logger.js';
import type { Logger } from '../../runtime/logger.js';
import { addressText } from '../net/address.js';
import type { TaggedMember } from '../serf/serf-member.js';
import type { Agent } from './agent.js';

const MAX_BODY_BYTES = 16 * 1024;
/** Who is slower is cut off. */
const REQUEST_TIMEOUT_MS = 10_000;
const CHECK_TIMEOUTS_EVERY_MS = 1000;
const MAX_CONNECTIONS = 256;
const MAX_HEADERS = 64;

/** Addresses that are asked for are paths. */
const BASE = 'http://agent';

interface Answer {
  readonly code: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

type Route = (agent: Agent, query: URLSearchParams) => Answer;

const routes: ReadonlyMap<string, Route> = new Map(
  Object.entries<Route>({
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
      const value = query.get('val') ?? query.get('value');
      if (value === null) throw invalidArgument('val', 'is missing; val= is an empty one');
      agent.set(key, value);
      return ok({ Key: key });
    },
    'POST /del': (agent, query) => {
      const key = required(query, 'key');
      return agent.delete(key)
        ? ok({ Key: key })
        : { code: 404, body: { Error: `there is no key ${JSON.stringify(key)}` } };
    },
  }),
);

/** What an agent tells over HTTP, as JSON: `/members`, `/info`, `/health`, `/get`, and `/add`, `/del` by POST. */
export class HttpFace implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `token`: callers show it as `authorization: Bearer TOKEN`; empty = anybody may ask. `log` has why something was not answered. */
  static async open(
    agent: Agent,
    host: string,
    port: number,
    token: string,
    log: Logger = silentLogger(),
  ): Promise<HttpFace> {
    const limits = {
      ...{ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      connectionsCheckingInterval: CHECK_TIMEOUTS_EVERY_MS,
    };
    const server = createServer(limits, (request, response) => {
      void answer(agent, request, token)
        .catch((error: unknown) => failed(error, request, log))
        .then((given) => {
          send(response, given, request.method === 'HEAD');
        });
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.maxHeadersCount = MAX_HEADERS;
    server.listen(port, host);
    await once(server, 'listening');
    // A connection that can't be accepted, as this process has too many files open.
    server.on('error', (error) => {
      log.error({ err: error }, 'a connection was not accepted');
    });
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

async function answer(agent: Agent, request: IncomingMessage, token: string): Promise<Answer> {
  if (token !== '' && !shows(request, token))
    return refusal(401, 'show the token: authorization: Bearer TOKEN');
  if (token === '' && isFromPage(request))
    return refusal(403, 'pages of a browser are answered only where there is a token');
  const { method = '', url = '/' } = request;
  if (!URL.canParse(url, BASE)) return refusal(400, 'the address can not be read');
  const { pathname, searchParams } = new URL(url, BASE);
  const asked = method === 'HEAD' ? 'GET' : method;
  const route = routes.get(`${asked} ${pathname}`);
  if (!route) return notFound(method, pathname);
  const query = asked === 'POST' ? await withBody(request, searchParams) : searchParams;
  return route(agent, query);
}

/** What is answered instead. A fault of ours is logged, and who asks hears no more than that there is one; who is gone, in the middle of what it asked, is no fault. */
function failed(error: unknown, request: IncomingMessage, log: Logger): Answer {
  const code = error instanceof FractoryError ? codeOf(error) : 500;
  if (error instanceof FractoryError && code !== 500) return refusal(code, error.message);
  const level = error === request.errored ? 'debug' : 'error';
  log[level]({ err: error }, 'a request was not answered');
  return refusal(500, 'the request was not answered');
}

/** Without a token nobody but programs of this machine may ask: not a page that a browser has from elsewhere, whichever name it gave this address. */
function isFromPage({ headers }: IncomingMessage): boolean {
  if (headers.origin !== undefined) return true;
  const host = (headers.host ?? '').replace(/:\d+$/, '').replaceAll(/^\[|\]$/g, '');
  return host !== '' && host !== 'localhost' && isIP(host) === 0;
}

function refusal(code: number, why: string): Answer {
  return { code, body: { Error: why } };
}

function send(response: ServerResponse, { code, body, headers }: Answer, headOnly: boolean): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(code, {
    ...{ 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
    ...{ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
    // What is left of a body that was too large is not waited for.
    ...(code === 413 ? { connection: 'close' } : {}),
    ...headers,
  });
  response.end(headOnly ? undefined : text);
}

function ok(body: unknown): Answer {
  return { code: 200, body };
}

function notFound(method: string, pathname: string): Answer {
  const all = [...routes.keys()];
  const other = all.find((route) => route.endsWith(` ${pathname}`));
  if (other === undefined) return refusal(404, `there is ${all.join(', ')}`);
  const [allow = ''] = other.split(' ');
  const why = `${pathname} is asked by ${allow}, not ${method}`;
  return { ...refusal(405, why), headers: { allow: allow === 'GET' ? 'GET, HEAD' : allow } };
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
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES)
      throw new FractoryError(
        status.RESOURCE_EXHAUSTED,
        'BODY_TOO_LARGE',
        `the body has more than ${String(MAX_BODY_BYTES)} bytes`,
      );
  }
  const fields = new URLSearchParams(query);
  for (const [name, value] of fieldsOf(Buffer.concat(chunks).toString())) fields.set(name, value);
  return fields;
}

function fieldsOf(text: string): Iterable<[string, string]> {
  if (!text.trimStart().startsWith('{')) return new URLSearchParams(text);
  return Object.entries(parsed(text)).map(([name, value]) => {
    if (typeof value === 'string') return [name, value];
    if (typeof value === 'number' || typeof value === 'boolean') return [name, String(value)];
    throw invalidArgument(name, 'is no text, number or boolean');
  });
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw invalidArgument('the body', `is no JSON: ${messageOf(error)}`);
  }
}

/** In the same time whatever is shown, also how long it is. */
function shows({ headers }: IncomingMessage, token: string): boolean {
  return timingSafeEqual(digest(headers.authorization ?? ''), digest(`Bearer ${token}`));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function codeOf({ code, reason }: FractoryError): number {
  if (code === status.INVALID_ARGUMENT) return 400;
  if (reason === 'BODY_TOO_LARGE') return 413;
  return code === status.RESOURCE_EXHAUSTED ? 507 : 500;
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
  const { dropped, refuted } = agent.counts;
  return {
    ...{ Name: name, IP: addressText(address) ?? '', Port: port, Tags: tags },
    ...agent.host(),
    ...{ AgentUptime: agent.uptimeSeconds, Incarnation: incarnation },
    ...{ Awareness: agent.awareness, Keys: agent.map.size },
    ...{ Dropped: Object.fromEntries(dropped), Refuted: refuted },
  };
}
