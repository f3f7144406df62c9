import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { MethodDefinition, ServiceError } from '@grpc/grpc-js';

import { ApplicationServiceService } from '../../protos/gen/fractory/v1/application.js';
import { BlockServiceService } from '../../protos/gen/fractory/v1/block.js';
import { CnnServiceService } from '../../protos/gen/fractory/v1/cnn.js';
import { ControllerServiceService } from '../../protos/gen/fractory/v1/controller.js';
import { MathServiceService } from '../../protos/gen/fractory/v1/math.js';
import { StorageServiceService } from '../../protos/gen/fractory/v1/storage.js';

type Method = MethodDefinition<unknown, unknown>;

const SERVICES = [
  ...[ApplicationServiceService, BlockServiceService, CnnServiceService],
  ...[ControllerServiceService, MathServiceService, StorageServiceService],
] as unknown as readonly Readonly<Record<string, Method>>[];
const DEADLINE_MS = 10_000;

/** Methods of a node that answer anything but that the caller is nobody they know: none, unless the node is open. */
export async function openMethods(address: string, authorization?: string): Promise<string[]> {
  const client = new Client(address, credentials.createInsecure());
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  const open: string[] = [];
  try {
    for (const method of SERVICES.flatMap((service) => Object.values(service))) {
      const code = await codeOf(client, method, metadata);
      // A node has its own services only.
      if (code !== status.UNAUTHENTICATED && code !== status.UNIMPLEMENTED)
        open.push(`${method.path} ${status[code]}`);
    }
  } finally {
    client.close();
  }
  return open;
}

/** The status of a call with an empty request. */
function codeOf(client: Client, { path }: Method, metadata: Metadata): Promise<status> {
  const bytes = (value: Buffer): Buffer => value;
  const deadline = Date.now() + DEADLINE_MS;
  return new Promise((resolve) => {
    // As a stream in both directions a call may be of any kind.
    const call = client.makeBidiStreamRequest(path, bytes, bytes, metadata, { deadline });
    call.on('error', ({ code }: ServiceError) => {
      resolve(code);
    });
    call.on('data', () => undefined);
    call.on('end', () => {
      resolve(status.OK);
    });
    call.write(Buffer.alloc(0));
    call.end();
  });
}
