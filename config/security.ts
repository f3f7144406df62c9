import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';

import type { SecurityConfig } from './node-config.js';
import { resolvePath } from './paths.js';
import type { Places } from './paths.js';
import type { Problem } from './problems.js';
import { foundText } from './values.js';

/** The keys of the section that are right. */
export interface SecuritySection {
  readonly mode?: 'open' | 'token' | 'mtls';
  readonly token_file?: string | undefined;
  readonly ca_path?: string | undefined;
  readonly certificate_path?: string | undefined;
  readonly key_path?: string | undefined;
}

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|\[::1\]|localhost)$/;

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/**
 * Reads the files that the section names; pushes what is wrong.
 * @param exposed the address that nodes bind to, if others than this machine, or this private network, can reach it
 */
export function securityFrom(
  section: SecuritySection,
  exposed: string | undefined,
  places: Places,
  problems: Problem[],
): SecurityConfig {
  const fileOf = (key: 'token_file' | 'ca_path' | 'certificate_path' | 'key_path'): string =>
    readableFile(key, section, places, problems);
  const mode = section.mode ?? 'open';
  switch (mode) {
    case 'open':
      if (section.mode && exposed !== undefined) problems.push(openOnNetwork(exposed));
      return { mode: 'open' };
    case 'token': {
      const file = fileOf('token_file');
      return { mode: 'token', token: file === '' ? '' : tokenIn(file, problems) };
    }
    case 'mtls':
      return {
        mode: 'mtls',
        caPath: fileOf('ca_path'),
        certificatePath: fileOf('certificate_path'),
        keyPath: fileOf('key_path'),
      };
  }
}

function openOnNetwork(grpcIp: string): Problem {
  return {
    section: 'Security',
    key: 'mode',
    expected: `token or mtls, because grpc_ip ${grpcIp} is not a loopback address`,
    found: '"open"',
  };
}

function readableFile(
  key: 'token_file' | 'ca_path' | 'certificate_path' | 'key_path',
  section: SecuritySection,
  places: Places,
  problems: Problem[],
): string {
  const given = section[key];
  const file = given === undefined ? undefined : resolvePath(places, given);
  if (file !== undefined) {
    try {
      accessSync(file, constants.R_OK);
      return file;
    } catch {
      // Reported below, with all other problems.
    }
  }
  problems.push({
    section: 'Security',
    key,
    expected: `a file that can be read, because mode is ${section.mode ?? 'open'}`,
    found: foundText(given),
    ...(key === 'token_file' && { remedy: howToMakeToken(file, places) }),
  });
  return '';
}

function howToMakeToken(given: string | undefined, places: Places): string {
  const file = given ?? resolvePath(places, '.fractory/token');
  const relative = path.relative(places.root, file);
  const shown = relative.startsWith('..') ? file : relative;
  const make = `make one: head -c 24 /dev/urandom | base64 > ${shown}`;
  return given === undefined ? `uncomment token_file and ${make}` : make;
}

function tokenIn(file: string, problems: Problem[]): string {
  const token = readFileSync(file, 'utf8').trim();
  if (!/^\S{16,}$/.test(token))
    problems.push({
      section: 'Security',
      key: 'token_file',
      expected: 'a file with one token of at least 16 characters',
      found: `${String(token.length)} characters in ${file}`,
    });
  return token;
}
