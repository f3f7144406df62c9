import { readFileSync } from 'node:fs';

import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';

import { reflectablePackage } from '../../protos/descriptors.js';

/** One version of the reflection service. */
interface Version {
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
}

type Handler = (...call: unknown[]) => unknown;

/**
 * Adds server reflection (v1 and v1alpha) for `services`. What it answers is read and indexed at the first question: that takes a quarter of the time in
 * which a node starts, and most nodes are never asked.
 *
 * @param descriptors file with the descriptor set that buf builds
 */
export function addReflection(
  server: Pick<Server, 'addService'>,
  descriptors: string,
  services: string[],
): void {
  let answering: Version[] | undefined;
  const answer = (): Version[] =>
    (answering ??= versionsOf(reflectablePackage(readFileSync(descriptors)), services));
  for (const [index, { definition, handlers }] of versionsOf({}, []).entries()) {
    const late = Object.keys(handlers).map((name) => {
      const handler: Handler = (...call) => (answer()[index]?.handlers[name] as Handler)(...call);
      return [name, handler] as const;
    });
    server.addService(definition, Object.fromEntries(late));
  }
}

function versionsOf(
  files: ConstructorParameters<typeof ReflectionService>[0],
  services: string[],
): Version[] {
  const versions: Version[] = [];
  const collector: Pick<Server, 'addService'> = {
    addService: (definition, handlers) => {
      versions.push({ definition, handlers });
    },
  };
  new ReflectionService(files, { services }).addToServer(collector);
  return versions;
}
