/** Where one server listens. */
export interface ServerPorts {
  /** 1, 2, ... */
  readonly id: number;
  /** Its address, if it has one of its own. Default: the one that all share. */
  readonly host?: string | undefined;
  readonly client: number;
  readonly quorum: number;
  readonly election: number;
}

export interface ZooCfgOptions {
  readonly tickMs: number;
  readonly dataPath: string;
  readonly host: string;
}

/** Ticks that a follower may take to connect at first, and to fall behind: a frozen leader is replaced after 2 s at 500 ms a tick. */
const INIT_TICKS = 20;
const SYNC_TICKS = 4;
const SNAPSHOTS_KEPT = 3;
const PURGE_HOURS = 1;
/** Transaction logs grow by this much at a time; the server's own 64 MiB would fill a small disk. */
const PREALLOCATED_KIB = 1024;

/** The configuration file of one server; a single server runs alone, without a quorum. */
export function zooCfg(
  own: ServerPorts,
  all: readonly ServerPorts[],
  options: ZooCfgOptions,
): string {
  const lines = [
    `tickTime=${String(options.tickMs)}`,
    `initLimit=${String(INIT_TICKS)}`,
    `syncLimit=${String(SYNC_TICKS)}`,
    `dataDir=${options.dataPath}`,
    `clientPort=${String(own.client)}`,
    `clientPortAddress=${own.host ?? options.host}`,
    'maxClientCnxns=0',
    '4lw.commands.whitelist=srvr,ruok,mntr,stat',
    'admin.enableServer=false',
    `preAllocSize=${String(PREALLOCATED_KIB)}`,
    `autopurge.snapRetainCount=${String(SNAPSHOTS_KEPT)}`,
    `autopurge.purgeInterval=${String(PURGE_HOURS)}`,
  ];
  if (all.length > 1)
    for (const { id, host = options.host, quorum, election } of all)
      lines.push(`server.${String(id)}=${host}:${String(quorum)}:${String(election)}`);
  return `${lines.join('\n')}\n`;
}
