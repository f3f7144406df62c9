import { isIP } from 'node:net';

import { z } from 'zod';

/**
 * Fields of the ini file. Values arrive as text (or as booleans, which `ini` makes of `true` and `false`), so each field
 * reads text and says in its error what it expected. Give a default with `.default(text)` or make it `.optional()`.
 */

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** A field of one's own: `read` returns undefined for what it can't read. */
export function reader<T>(expected: string, read: (text: string) => T | undefined) {
  return z.unknown().transform((raw, context): T => {
    const value = isScalar(raw) ? read(String(raw).trim()) : undefined;
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `expected ${expected}`, input: raw });
    return z.NEVER;
  });
}

function isScalar(raw: unknown): raw is string | number | boolean {
  return typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean';
}

/** A whole number between `min` and `max`. */
export function integer(min: number, max: number) {
  return reader(`a whole number from ${String(min)} to ${String(max)}`, (text) => {
    const value = Number(text);
    return /^-?\d+$/.test(text) && value >= min && value <= max ? value : undefined;
  });
}

/** A number of bytes: `65536`, `64 KiB`, `8 MiB`, `1 GiB`. */
export function bytes(min: number, max: number) {
  return reader(`a size such as 64 KiB, from ${String(min)} to ${String(max)} bytes`, (text) => {
    const match = /^(\d+)\s*(b|kib|mib|gib)?$/i.exec(text);
    if (!match) return undefined;
    const value = Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? Number.NaN);
    return value >= min && value <= max ? value : undefined;
  });
}

/** `true` or `false`. */
export function flag() {
  return reader('true or false', (text) =>
    text === 'true' ? true : text === 'false' ? false : undefined,
  );
}

/** One of these words. */
export function oneOf<const T extends readonly string[]>(...words: T) {
  return reader(`one of ${words.join(', ')}`, (text): T[number] | undefined =>
    words.find((word) => word === text),
  );
}

/** Text that is not empty. */
export function text() {
  return reader('text', (value) => (value === '' ? undefined : value));
}

/** An http or https URL; what stands in it may name a host, not a person. */
export function httpUrl() {
  return reader('a URL such as http://127.0.0.1:4318, without user and password', (value) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
    return isHttp && url.username === '' && url.password === '' ? value : undefined;
  });
}

/** Words with commas between them, at least one. */
export function list() {
  return reader('one or several values with commas between them', (value) => {
    const words = value.split(',').map((word) => word.trim());
    return words.every((word) => word !== '') ? words : undefined;
  });
}

/** ADDRESS:PORT with an IP address (of IPv6 in brackets), with commas between them. */
export function endpoints() {
  return reader('ADDRESS:PORT, ADDRESS:PORT, ... with IP addresses', (value) => {
    const all = value.split(',').map((one) => one.trim());
    return all.every(isEndpoint) ? all : undefined;
  });
}

function isEndpoint(given: string): boolean {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(given);
  if (!match) return false;
  const port = Number(match[3]);
  const version = match[1] === undefined ? isIP(match[2] ?? '') : isIP(match[1]) === 6 ? 6 : 0;
  return version !== 0 && port > 0 && port <= 65_535;
}

/** Mark of a field (`.meta(SECRET)`) whose value is shown to nobody. */
export const SECRET = { secret: true } as const;

export function isSecret(field: z.ZodType | undefined): boolean {
  return field?.meta()?.['secret'] === true;
}

/** The keys of one section; an unknown key is an error. Keys are snake_case as in the file. */
export const section = z.strictObject;
