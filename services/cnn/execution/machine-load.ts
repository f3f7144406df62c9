import { cpus } from 'node:os';

/** How long the machine and this process have computed so far. */
export interface MachineTimes {
  readonly busyMs: number;
  readonly totalMs: number;
  readonly ownMs: number;
}

export function machineTimes(): MachineTimes {
  let [busyMs, totalMs] = [0, 0];
  for (const { times } of cpus()) {
    const { user, nice, sys, irq, idle } = times;
    busyMs += user + nice + sys + irq;
    totalMs += user + nice + sys + irq + idle;
  }
  const own = process.cpuUsage();
  return { busyMs, totalMs, ownMs: (own.user + own.system) / 1000 };
}

/** Share of the machine that other processes have used since then. */
export function othersShare(since: MachineTimes): number {
  const now = machineTimes();
  const totalMs = now.totalMs - since.totalMs;
  const othersMs = now.busyMs - since.busyMs - (now.ownMs - since.ownMs);
  return totalMs > 0 ? Math.max(0, othersMs) / totalMs : 0;
}
