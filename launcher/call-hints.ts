import type { SecurityConfig } from '../config/node-config.js';
import type { MemberStatus } from './member-status.js';

/** Programs that call a node by hand. */
export type CallProgram = 'grpcurl' | 'buf';

/** How a program is told to list the services of a node, and to call a method. */
interface Syntax {
  readonly list: (address: string) => string;
  readonly call: (address: string, method: string, request: string) => string;
}

/** Commands that work as written, for those who just started a data center. */
export function callHints(
  members: readonly MemberStatus[],
  security: SecurityConfig,
  program: CallProgram,
  options: { readonly namespaces?: boolean | undefined } = {},
): string[] {
  const first = members[0];
  if (!first) return [];
  const prefix = options.namespaces ? './datacenter inside ' : '';
  const { list, call } =
    program === 'grpcurl' ? grpcurl(security, prefix) : bufCurl(security, prefix);
  const leaderOf = (type: string): MemberStatus | undefined =>
    members.find((member) => member.type === type && member.leader);
  const math = leaderOf('math');
  const cnn = leaderOf('cnn');
  const storage = leaderOf('storage');
  return [
    list((math ?? first).address),
    ...(math ? [call(math.address, 'MathService/Factorial', '{"n": "30"}')] : []),
    ...(cnn ? [call(cnn.address, 'CnnService/ListModels', '{}')] : []),
    ...(storage ? [call(storage.address, 'StorageService/List', '{"client": "admin"}')] : []),
    ...(leaderOf('application')
      ? ['./datacenter run shift-left --n 7 --m 9', './datacenter run image-prediction --help']
      : []),
  ];
}

function grpcurl(security: SecurityConfig, prefix: string): Syntax {
  const command = `${prefix}grpcurl ${grpcurlFlags(security)}`;
  return {
    list: (address) => `${command} ${address} list`,
    call: (address, method, request) =>
      `${command} -d '${request}' ${address} fractory.v1.${method}`,
  };
}

function grpcurlFlags(security: SecurityConfig): string {
  switch (security.mode) {
    case 'open':
      return '-plaintext';
    case 'token':
      return '-plaintext -H "authorization: Bearer TOKEN"';
    case 'mtls': {
      const { caPath, certificatePath, keyPath } = security;
      return `-cacert ${caPath} -cert ${certificatePath} -key ${keyPath}`;
    }
  }
}

/** `buf` is one of our npm packages: where there is no grpcurl, it does the same. */
function bufCurl(security: SecurityConfig, prefix: string): Syntax {
  const command = `${prefix}node_modules/.bin/buf curl --protocol grpc ${bufFlags(security)}`;
  const scheme = security.mode === 'mtls' ? 'https' : 'http';
  return {
    list: (address) => `${command} --list-services ${scheme}://${address}`,
    call: (address, method, request) =>
      `${command} -d '${request}' ${scheme}://${address}/fractory.v1.${method}`,
  };
}

function bufFlags(security: SecurityConfig): string {
  switch (security.mode) {
    case 'open':
      return '--http2-prior-knowledge';
    case 'token':
      return '--http2-prior-knowledge -H "authorization: Bearer TOKEN"';
    case 'mtls': {
      const { caPath, certificatePath, keyPath } = security;
      return `--cacert ${caPath} --cert ${certificatePath} --key ${keyPath}`;
    }
  }
}
