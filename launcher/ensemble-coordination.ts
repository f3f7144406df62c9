import path from 'node:path';

import type { CoordinatorConfig } from '../config/node-config.js';
import type { DataCenterConfig } from '../config/data-center-config.js';
import { unavailable } from '../runtime/errors.js';
import type { Logger } from '../runtime/logger.js';
import type { Installation } from '../zookeeper/ensemble/installation.js';
import { Ensemble } from '../zookeeper/ensemble.js';
import type { ServerPlace } from '../zookeeper/ensemble.js';
import type { Coordination, CoordinationServers } from './coordination.js';
import { LogFiles } from './log-files.js';
import type { PrivateNetwork } from './network/private-network.js';

/** Nodes can register as soon as there is a quorum: on a busy machine the last server is not waited for longer than this, ms. */
const LAGGARD_MS = 1000;

/** ZooKeeper servers of our own. */
export class EnsembleCoordination implements Coordination {
  readonly kind = 'zookeeper';
  readonly notice: string;
  readonly #config: DataCenterConfig;
  readonly #ensemble: Ensemble;
  readonly servers: CoordinationServers;
  #connect = '';
  #onChange: () => void = () => undefined;

  constructor(
    config: DataCenterConfig,
    installation: Extract<Installation, { ok: true }>,
    options: { readonly log: Logger; readonly network?: PrivateNetwork | undefined },
  ) {
    const { log, network } = options;
    const { servers, tickMs } = config.zookeeper;
    const { statePath } = config.places;
    this.#config = config;
    this.notice = `starting ${String(servers)} ZooKeeper server${servers === 1 ? '' : 's'}`;
    this.#ensemble = new Ensemble({
      ...{ installation, servers, tickMs, log },
      path: path.join(statePath, 'zookeeper'),
      logPath: new LogFiles(statePath).folder,
      placeOf: network && ((id) => placeIn(network, nameOf(id))),
      onChange: () => {
        this.#onChange();
      },
    });
    this.servers = serversOf(this.#ensemble, servers);
  }

  async prepare(): Promise<CoordinatorConfig> {
    await this.#ensemble.spawn();
    this.#connect = this.#ensemble.connect;
    const { sessionTimeoutMs } = this.#config.zookeeper;
    return { kind: this.kind, connect: this.#connect, sessionTimeoutMs };
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#ensemble.ready(signal, { laggardMs: LAGGARD_MS });
    // The nodes were told the ports already.
    if (this.#ensemble.connect !== this.#connect)
      throw unavailable(
        'PORT_TAKEN',
        'somebody took a port of ZooKeeper during the start; start again',
      );
  }

  processes(): readonly { readonly name: string; readonly pid: number }[] {
    return this.#ensemble.servers
      .filter(({ pid }) => pid !== 0)
      .map(({ id, pid }) => ({ name: nameOf(id), pid }));
  }

  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  stop(): Promise<void> {
    return this.#ensemble.stop();
  }

  kill(): void {
    // The servers' guards end them together with this process.
  }
}

function nameOf(server: number): string {
  return `zookeeper-${String(server)}`;
}

function serversOf(ensemble: Ensemble, count: number): CoordinationServers {
  const names = Array.from({ length: count }, (_, index) => nameOf(index + 1));
  const idOf = (name: string): number => names.indexOf(name) + 1;
  return {
    names,
    restartOrder: async () => {
      const leads = (mode: string): number => (mode === 'leader' ? 1 : 0);
      const all = [...(await ensemble.refresh())];
      return all.sort((a, b) => leads(a.mode) - leads(b.mode)).map(({ id }) => nameOf(id));
    },
    restart: (name) => ensemble.restart(idOf(name)),
    serves: (name, signal) => ensemble.serves(idOf(name), signal),
  };
}

/** A link of its own for a server. */
async function placeIn(network: PrivateNetwork, name: string): Promise<ServerPlace> {
  const { address } = await network.add(name, 'zookeeper');
  return { host: address, within: network.within(name) };
}
