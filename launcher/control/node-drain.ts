import { ControllerServiceClient } from '../../protos/gen/fractory/v1/controller.js';
import type { DrainResponse } from '../../protos/gen/fractory/v1/controller.js';
import { LINK_KEY, linkKeyOf } from '../../runtime/link-key.js';
import type { SecurityConfig } from '../../config/node-config.js';
import { NodeCalls } from '../node-calls.js';

export interface NodeDrainOptions {
  readonly security: SecurityConfig;
  /** Of the data center: a node drains for nobody else. */
  readonly secret: string;
  /** How long what the node has begun may take, ms. */
  readonly graceMs: number;
}

/** What a call takes beside the grace period, ms. */
const CALL_SLACK_MS = 5000;

/** Asks a node to leave in good order; resolves with the number of operations and calls that had not ended after the grace period. */
export async function drainNode(address: string, options: NodeDrainOptions): Promise<number> {
  const { security, secret, graceMs } = options;
  using calls = new NodeCalls(security);
  const { left } = await calls.unary<ControllerServiceClient, DrainResponse>(
    ControllerServiceClient,
    address,
    (client, { metadata, options: callOptions, done }) => {
      metadata.set(LINK_KEY, linkKeyOf(secret));
      return client.drain({ graceMs }, metadata, callOptions, done);
    },
    { timeoutMs: graceMs + CALL_SLACK_MS },
  );
  return left;
}
