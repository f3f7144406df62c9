import { readFileSync } from 'node:fs';

import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import type { DescMessage, FileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import { fileURLToPath } from 'node:url';

import { RawSession } from './raw-call.js';
import { COORDINATOR } from './fuzzed-data-center.js';
import type { Target } from './fuzzed-data-center.js';

/** A method of a process under attack. */
export interface FuzzedMethod {
  /** `/fractory.v1.MathService/Evaluate` */
  readonly path: string;
  readonly kind: 'unary' | 'server_streaming' | 'client_streaming' | 'bidi_streaming';
  /** Unknown where the descriptor set does not have it: then bytes are all that is sent. */
  readonly input: DescMessage | undefined;
}

const REFLECTION = 'grpc.reflection.v1.ServerReflection';
const METHOD = `/${REFLECTION}/ServerReflectionInfo`;
/** Served without being listed. */
const UNLISTED = [REFLECTION, 'grpc.reflection.v1alpha.ServerReflection', 'grpc.health.v1.Health'];
const LIST_SERVICES_FIELD = 7;
const LISTED_FIELD = 6;
const ANSWER_MS = 5000;

/** All that the nodes can be asked, as they say themselves. */
export class Schema {
  readonly #registry: FileRegistry;

  constructor() {
    const file = fileURLToPath(new URL('../../../protos/gen/descriptors.binpb', import.meta.url));
    this.#registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
  }

  message(name: string): DescMessage {
    const found = this.#registry.getMessage(name);
    if (!found) throw new Error(`there is no message ${name} in the descriptor set`);
    return found;
  }

  /** Asks a node by server reflection; the coordinator, which has none, is known. */
  async methodsOf(target: Target): Promise<readonly FuzzedMethod[]> {
    const names =
      target.id === COORDINATOR
        ? ['fractory.v1.CoordinatorService']
        : [...new Set([...(await servicesOf(target)), ...UNLISTED])].sort();
    return names.flatMap((name) => this.#methods(name));
  }

  #methods(name: string): FuzzedMethod[] {
    const service = this.#registry.getService(name);
    if (!service)
      return [{ path: `/${name}/ServerReflectionInfo`, kind: 'bidi_streaming', input: undefined }];
    return service.methods.map(({ name: method, methodKind, input }) => ({
      ...{ path: `/${name}/${method}`, kind: methodKind, input },
    }));
  }
}

async function servicesOf({ id, address }: Target): Promise<string[]> {
  using session = new RawSession(address);
  const request = new BinaryWriter().tag(LIST_SERVICES_FIELD, WireType.LengthDelimited).string('');
  const { messages, message } = await session.call(METHOD, {
    ...{ steps: [{ message: request.finish() }, { end: true }], timeoutMs: ANSWER_MS },
  });
  const [answer] = messages;
  if (!answer) throw new Error(`${id} does not answer to reflection: ${message}`);
  return [...fieldsOf(answer, LISTED_FIELD)].flatMap((list) =>
    [...fieldsOf(list, 1)].flatMap((service) =>
      [...fieldsOf(service, 1)].map((name) => Buffer.from(name).toString()),
    ),
  );
}

function* fieldsOf(message: Uint8Array, wanted: number): Generator<Uint8Array> {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted && type === WireType.LengthDelimited) yield reader.bytes();
    else reader.skip(type, field);
  }
}
