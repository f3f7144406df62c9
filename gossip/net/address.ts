import { isIP } from 'node:net';

import { invalidArgument } from '../../runtime/errors.js';
import type { Endpoint } from '../core/member.js';

const V4_IN_V6 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** An IP address as bytes: 4 of IPv4, also of one that is written as IPv6, as Go compares them byte by byte; 16 of IPv6. */
export function addressBytes(text: string): Uint8Array {
  const plain = V4_IN_V6.exec(text)?.[1] ?? text;
  switch (isIP(plain)) {
    case 4:
      return Uint8Array.from(plain.split('.'), Number);
    case 6:
      return v6Bytes(plain);
    default:
      throw invalidArgument('address', `${JSON.stringify(text)} is not an IP address`);
  }
}

/** Undefined for what no address is: bytes of others are not to be trusted. */
export function addressText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const mapped =
    bytes.subarray(0, 10).every((byte) => byte === 0) && view.getUint16(10) === 0xff_ff;
  if (mapped) return bytes.subarray(12).join('.');
  return Array.from({ length: 8 }, (_, group) => view.getUint16(2 * group).toString(16)).join(':');
}

/** `host:port` with an IP address, of IPv6 in brackets; the port may be left out. */
export function parseEndpoint(text: string, defaultPort: number): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:]+|[^[\]]*:[^[\]]*:[^[\]]*))(?::(\d{1,5}))?$/.exec(
    text.trim(),
  );
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port > 65_535)
    throw invalidArgument('address', `${JSON.stringify(text)} is not ADDRESS:PORT`);
  return { address: addressBytes(host), port };
}

export function endpointText({ address, port }: Endpoint): string {
  const text = addressText(address) ?? '?';
  return text.includes(':') ? `[${text}]:${String(port)}` : `${text}:${String(port)}`;
}

function v6Bytes(text: string): Uint8Array {
  const [plain = ''] = text.split('%');
  const [head = '', tail] = plain.split('::');
  const groupsOf = (part: string): number[] =>
    part
      .split(':')
      .filter((group) => group !== '')
      .flatMap((group) =>
        group.includes('.') ? pairs(group.split('.').map(Number)) : [Number.parseInt(group, 16)],
      );
  const front = groupsOf(head);
  const back = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => 0);
  return Uint8Array.from(
    [...front, ...zeros, ...back].flatMap((group) => [group >> 8, group & 255]),
  );
}

function pairs([a = 0, b = 0, c = 0, d = 0]: readonly number[]): number[] {
  return [(a << 8) | b, (c << 8) | d];
}
