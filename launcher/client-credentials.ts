import { readFileSync } from 'node:fs';

import { credentials, Metadata } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';

import type { SecurityConfig } from '../config/node-config.js';

/** How the launcher's own calls are protected. */
export function channelCredentialsOf(security: SecurityConfig): ChannelCredentials {
  if (security.mode !== 'mtls') return credentials.createInsecure();
  const { caPath, keyPath, certificatePath } = security;
  return credentials.createSsl(
    readFileSync(caPath),
    readFileSync(keyPath),
    readFileSync(certificatePath),
  );
}

/** What the launcher shows on each call. */
export function metadataOf(security: SecurityConfig): Metadata {
  const metadata = new Metadata();
  if (security.mode === 'token') metadata.set('authorization', `Bearer ${security.token}`);
  return metadata;
}
