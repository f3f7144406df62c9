import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { assert } from '../suite.js';
import { StartedCommand } from './started-command.js';

/** Paths of a certificate and its key. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** A certificate authority in a folder of its own, by openssl. */
export class Authority implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Why there can be none here; undefined where there can. */
  static async whyNot(): Promise<string | undefined> {
    try {
      await openssl('version');
      return undefined;
    } catch {
      return 'openssl is not here';
    }
  }

  static async create(): Promise<Authority> {
    const authority = new Authority(await mkdtemp(path.join(tmpdir(), 'fractory-authority-')));
    const { certificate, key } = authority.#paths('ca');
    await openssl(
      ...['req', '-x509', ...KEY, '-days', '2', '-subj', '/CN=fractory test authority'],
      ...['-keyout', key, '-out', certificate],
    );
    return authority;
  }

  /** Path of its own certificate. */
  get certificate(): string {
    return this.#paths('ca').certificate;
  }

  /** A certificate for a node or caller on loopback. `days`: how long it is good from now on; below 0 = it has expired. */
  async issue(name: string, days = 2): Promise<Certificate> {
    const { certificate, key } = this.#paths(name);
    const [request, extensions] = ['csr', 'ext'].map((end) =>
      path.join(this.#folder, `${name}.${end}`),
    );
    assert.ok(request !== undefined && extensions !== undefined);
    await writeFile(extensions, 'subjectAltName = IP:127.0.0.1, DNS:localhost\n');
    await openssl('req', ...KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
    const ca = this.#paths('ca');
    await openssl(
      ...['x509', '-req', '-in', request, '-CA', ca.certificate, '-CAkey', ca.key],
      ...['-CAcreateserial', '-days', String(days), '-extfile', extensions, '-out', certificate],
    );
    return { certificate, key };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }

  #paths(name: string): Certificate {
    return {
      certificate: path.join(this.#folder, `${name}.pem`),
      key: path.join(this.#folder, `${name}.key`),
    };
  }
}

async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await new StartedCommand('openssl', args).ended;
  assert.is(code, 0, stderr);
}
