import path from 'node:path';

import { ErrorInfo } from '../../protos/gen/google/rpc/error_details.js';
import { assert } from '../suite.js';
import { checkout } from './live-data-center.js';
import { StartedCommand } from './started-command.js';
import type { CommandResult } from './started-command.js';

/** What a foreign client is told when a call fails. */
export interface ForeignError {
  /** gRPC status in lower case: `not_found`. */
  readonly code: string;
  readonly message: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ForeignOptions {
  /** Metadata, `name: value`. */
  readonly headers?: readonly string[];
  /** More flags of `buf curl`. */
  readonly flags?: readonly string[];
  /** Flags of the TLS connection; with them the address is spoken to over https. */
  readonly tls?: readonly string[];
  /** Default 30,000. */
  readonly deadlineMs?: number;
}

/** JSON as protobuf has it: 64-bit integers are text, bytes are base64. */
export type Json = Record<string, unknown>;

const buf = path.join(checkout, 'node_modules', '.bin', 'buf');

/**
 * A gRPC client that shares no code with the project (`buf curl`): it learns services and messages by server reflection, as
 * grpcurl does.
 */
export class ForeignClient {
  readonly #address: string;
  readonly #options: ForeignOptions;

  constructor(address: string, options: ForeignOptions = {}) {
    this.#address = address;
    this.#options = options;
  }

  async services(): Promise<string[]> {
    return lines(expectSuccess(await this.#list('--list-services')));
  }

  async methods(): Promise<string[]> {
    return lines(expectSuccess(await this.#list('--list-methods')));
  }

  /** A call with one answer; `method` is `MathService/Factorial`, or named in full. */
  async call<T = Json>(method: string, ...requests: readonly Json[]): Promise<T> {
    const [answer] = await this.stream<T>(method, ...requests);
    if (answer === undefined) throw new Error(`${method} gave no answer`);
    return answer;
  }

  /** All messages of the answer. */
  async stream<T = Json>(method: string, ...requests: readonly Json[]): Promise<T[]> {
    return documents<T>(expectSuccess(await this.#send(method, requests)));
  }

  /** A call that has to fail. */
  async failure(method: string, ...requests: readonly Json[]): Promise<ForeignError> {
    const { code, stdout, stderr } = await this.#send(method, requests);
    assert.ok(code !== 0, `${method} succeeded: ${stdout}`);
    return errorIn(stderr);
  }

  #send(method: string, requests: readonly Json[]): Promise<CommandResult> {
    return start(this.#address, this.#options, method, requests).ended;
  }

  #list(flag: string): Promise<CommandResult> {
    return curl(this.#address, this.#options, [flag], '', '').ended;
  }
}

/** A call whose answers may be watched as they come. */
export function startCall(
  address: string,
  method: string,
  requests: readonly Json[],
): { command: StartedCommand; answers: () => Promise<Json[]> } {
  const command = start(address, {}, method, requests);
  return { command, answers: async () => documents(expectSuccess(await command.ended)) };
}

function start(
  address: string,
  options: ForeignOptions,
  method: string,
  requests: readonly Json[],
): StartedCommand {
  const input = requests.map((request) => JSON.stringify(request)).join('\n');
  const full = method.includes('.') ? method : `fractory.v1.${method}`;
  return curl(address, options, ['-d', '@-'], `/${full}`, input);
}

function curl(
  address: string,
  { headers = [], flags: more = [], tls, deadlineMs = 30_000 }: ForeignOptions,
  args: readonly string[],
  where: string,
  input: string,
): StartedCommand {
  const url = `${tls ? 'https' : 'http'}://${address}${where}`;
  const flags = ['--protocol', 'grpc', ...(tls ?? ['--http2-prior-knowledge']), ...more];
  for (const header of headers) flags.push('-H', header);
  return new StartedCommand(buf, ['curl', ...flags, ...args, url], { input, deadlineMs });
}

function expectSuccess({ code, stdout, stderr }: CommandResult): string {
  assert.is(code, 0, stderr);
  return stdout;
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Messages are printed one after the other; a brace alone at the beginning of a line ends one. */
function documents<T>(text: string): T[] {
  return text
    .split(/(?<=^(?:\}|\{\})\n)/m)
    .filter((document) => document.trim() !== '')
    .map((document) => JSON.parse(document) as T);
}

function errorIn(stderr: string): ForeignError {
  const start = stderr.indexOf('{');
  // It never came to a call.
  if (start < 0) return { code: '', message: stderr.trim(), reason: '', metadata: {} };
  const { code, message, details } = JSON.parse(stderr.slice(start)) as {
    code: string;
    message: string;
    details?: { type: string; value: string }[];
  };
  const info = details?.find(({ type }) => type === 'google.rpc.ErrorInfo');
  const { reason = '', metadata = {} } = info
    ? ErrorInfo.decode(Buffer.from(info.value, 'base64'))
    : {};
  return { code, message, reason, metadata };
}
