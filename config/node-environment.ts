import { PRIVATE_NETWORK_VARIABLE } from './private-network.js';

/** What the launcher tells a node beside its arguments. */
export interface NodeEnvironment {
  readonly statePath: string;
  /** `zookeeper://host:port,...` or `embedded://host:port`. */
  readonly coordinator: string;
  /** Its address in a private network (`private-network.ts`). Default: that of the ini file. */
  readonly privateAddress?: string | undefined;
}

/** The environment of a supervised node process: that of the launcher, with its overrides, and the launcher's facts. */
export function nodeEnvironment(
  facts: NodeEnvironment,
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  return {
    ...environment,
    FRACTORY_STATE: facts.statePath,
    FRACTORY_COORDINATOR: facts.coordinator,
    FRACTORY_SUPERVISED: '1',
    ...(facts.privateAddress !== undefined && {
      FRACTORY_DATACENTER_GRPC_IP: facts.privateAddress,
      [PRIVATE_NETWORK_VARIABLE]: '1',
    }),
  };
}

/** The environment of a child with some variables more. */
export function childEnvironment(
  added: NodeJS.ProcessEnv = {},
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  return { ...environment, ...added };
}

/** The environment without any variable of ours: for a data center of which nothing is to be set from outside. */
export function bareEnvironment(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const others = Object.entries(environment).filter(([name]) => !name.startsWith('FRACTORY_'));
  return Object.fromEntries(others);
}
