import { status } from '@grpc/grpc-js';

import type { SecurityConfig } from '../../config/node-config.js';
import { ProcessKind, ProcessState } from '../../protos/gen/fractory/v1/launcher.js';
import type {
  LauncherProcess,
  LauncherServiceDrainRequest,
  LauncherServiceDrainResponse,
  ListProcessesResponse,
  RestartRequest,
  RestartResponse,
} from '../../protos/gen/fractory/v1/launcher.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { closest } from '../../runtime/suggestion.js';
import type { Coordination } from '../coordination.js';
import type { HealthProbe } from '../health-probe.js';
import type { SupervisedNode, Supervisor } from '../supervisor.js';
import { MemberRestarts } from './member-restarts.js';
import { drainNode } from './node-drain.js';
import type { Roster } from './roster.js';

export interface LauncherServiceParts {
  readonly supervisor: Pick<Supervisor, 'restart' | 'nodes'>;
  readonly roster: Pick<Roster, 'members' | 'leader' | 'coordinator' | 'find'>;
  readonly probe: HealthProbe;
  readonly security: SecurityConfig;
  readonly secret: string;
  /** Grace period of the nodes, ms. */
  readonly graceMs: number;
  readonly coordination: Pick<Coordination, 'processes' | 'servers'>;
}

/** How long a member may take from its end until it serves again, ms, unless the caller says otherwise. */
const RESTART_TIMEOUT_MS = 60_000;

const STATES: Readonly<Record<SupervisedNode['state'], ProcessState>> = {
  running: ProcessState.RUNNING,
  restarting: ProcessState.RESTARTING,
  dead: ProcessState.DEAD,
};

/** What a launcher does for the commands of its data center, without the wire. */
export class LauncherControl {
  readonly #parts: LauncherServiceParts;
  readonly #restarts: MemberRestarts;
  /** By pid: a life that was drained stays so. */
  readonly #drained = new Map<number, ProcessState>();

  constructor(parts: LauncherServiceParts) {
    this.#parts = parts;
    this.#restarts = new MemberRestarts({ ...parts, servers: parts.coordination.servers });
  }

  restart(
    { members, timeoutMs }: RestartRequest,
    signal: AbortSignal,
  ): AsyncGenerator<RestartResponse, void> {
    const servers = this.#parts.coordination.servers?.names ?? [];
    for (const name of members) if (!servers.includes(name)) this.#find(name, servers);
    // Without its only server nobody could register until it is back: that one goes only if it is named.
    const replaceable = servers.length > 1 ? servers : [];
    const all = [...replaceable, ...this.#parts.supervisor.nodes().map(({ name }) => name)];
    const names = members.length === 0 ? all : members;
    return this.#restarts.restart(names, { timeoutMs: timeoutMs || RESTART_TIMEOUT_MS, signal });
  }

  async drain(request: LauncherServiceDrainRequest): Promise<LauncherServiceDrainResponse> {
    const { roster, security, secret, graceMs } = this.#parts;
    const { name, pid } = this.#find(request.member);
    const member = roster.find({ name, pid });
    if (!member) {
      if (this.#drained.get(pid) === ProcessState.DRAINED) return { left: 0 };
      throw unavailable('NOT_REGISTERED', `${name} is not registered: it starts or stops just now`);
    }
    this.#drained.set(pid, ProcessState.DRAINING);
    const left = await drainNode(member.address, {
      ...{ security, secret, graceMs: request.graceMs || graceMs },
    });
    this.#drained.set(pid, ProcessState.DRAINED);
    return { left };
  }

  listProcesses(): ListProcessesResponse {
    const { supervisor, coordination } = this.#parts;
    const nodes = supervisor.nodes().map(({ name, pid, state, restarts }): LauncherProcess => ({
      ...{ name, kind: ProcessKind.NODE, pid, restarts },
      state: this.#drained.get(pid) ?? STATES[state],
    }));
    const others = coordination.processes().map(({ name, pid }): LauncherProcess => ({
      ...{ name, kind: ProcessKind.ZOOKEEPER, pid, restarts: 0 },
      state: ProcessState.RUNNING,
    }));
    return { processes: [...others, ...nodes] };
  }

  /** `others`: what may have been meant besides nodes. */
  #find(name: string, others: readonly string[] = []): SupervisedNode {
    const nodes = this.#parts.supervisor.nodes();
    const found = nodes.find((node) => node.name === name);
    if (found) return found;
    const known = [...nodes.map((node) => node.name), ...others].sort();
    const near = closest(name, known);
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
    throw new FractoryError(
      status.NOT_FOUND,
      'NOT_SUPERVISED',
      `this launcher holds no node ${name}${hint}; there are ${known.join(', ')}`,
    );
  }
}
