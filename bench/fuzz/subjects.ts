import { credentials, Metadata } from '@grpc/grpc-js';

import { Capability } from '../../protos/gen/fractory/v1/capability.js';
import { ControllerServiceClient } from '../../protos/gen/fractory/v1/controller.js';
import type { ConnectResponse, DeriveResponse } from '../../protos/gen/fractory/v1/controller.js';
import { COORDINATOR } from './fuzzed-data-center.js';
import type { FuzzedDataCenter, Target } from './fuzzed-data-center.js';
import type { Subject } from './rpc-case.js';
import { Schema } from './schema.js';

const DEADLINE_MS = 5000;

/** Asks every process what it serves, and for what a stranger gets. */
export function subjectsOf(center: FuzzedDataCenter): Promise<readonly Subject[]> {
  const schema = new Schema();
  return Promise.all(
    center.targets.map(async (target) => ({
      target,
      methods: await schema.methodsOf(target),
      capabilities: target.id === COORDINATOR ? [] : await grantedBy(target),
    })),
  );
}

/** Roots of the node's operations, each followed by one derived from it and its revoker: always in the same order. */
async function grantedBy({ address }: Target): Promise<Uint8Array[]> {
  const client = new ControllerServiceClient(address, credentials.createInsecure());
  try {
    const options = () => ({ deadline: Date.now() + DEADLINE_MS });
    const { grants } = await new Promise<ConnectResponse>((resolve, reject) => {
      client.connect({}, new Metadata(), options(), (error, response) => {
        if (error) reject(error);
        else resolve(response);
      });
    });
    const all: Capability[] = [];
    for (const { capability } of grants) {
      if (!capability) continue;
      const request = { capability, caveat: undefined };
      const derived = await new Promise<DeriveResponse | undefined>((resolve) => {
        client.derive(request, new Metadata(), options(), (_, response) => {
          resolve(response);
        });
      });
      const { capability: child, revoker } = derived ?? {};
      all.push(capability, ...(child ? [child] : []), ...(revoker ? [revoker] : []));
    }
    return all.map((capability) => Capability.encode(capability).finish());
  } finally {
    client.close();
  }
}
