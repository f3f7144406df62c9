import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { connect } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';

/** What both sides show in mtls mode, PEM. */
export interface BulkCertificates {
  readonly ca: Buffer;
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** How long a caller may take to show its certificate, ms. */
const HANDSHAKE_MS = 5000;

/** A server of plain sockets, or of TLS sockets whose clients show a certificate of the same authority. */
export function bulkServer(
  certificates: BulkCertificates | undefined,
  accept: (socket: Socket) => void,
): Server {
  if (!certificates) return createServer({ noDelay: true, keepAlive: true }, accept);
  const options = {
    ...{ ...certificates, requestCert: true, rejectUnauthorized: true },
    handshakeTimeout: HANDSHAKE_MS,
  };
  return createTlsServer({ ...options, noDelay: true, keepAlive: true }, accept);
}

/** Where a socket puts what it reads. */
export interface BulkReader {
  /** Memory for the next bytes. */
  readonly buffer: () => Uint8Array;
  /** So many bytes were put there; false stops reading until `resume`. */
  readonly callback: (bytes: number, buffer: Uint8Array) => boolean;
}

/** Connects; the socket reads straight into the memory that `reader` lends. */
export function bulkSocket(
  address: string,
  certificates: BulkCertificates | undefined,
  reader: BulkReader,
): Socket {
  const { host, port } = hostAndPort(address);
  const options = { host, port, onread: reader, noDelay: true, keepAlive: true };
  return certificates ? connectTls({ ...options, ...certificates }) : connect(options);
}

function hostAndPort(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return {
    host: address.slice(0, at).replace(/^\[|\]$/g, ''),
    port: Number(address.slice(at + 1)),
  };
}
