import { availableParallelism, cpus, freemem, loadavg, totalmem, uptime } from 'node:os';

/** How the machine is now. Keys as they are shown. */
export interface HostFacts {
  /** Share of all processors in use since the last look, 0 to 1. */
  readonly CPU: number;
  readonly Cores: number;
  readonly Memory: { readonly TotalBytes: number; readonly FreeBytes: number };
  /** Over 1, 5 and 15 minutes. */
  readonly Load: readonly number[];
  /** Of the machine, s. */
  readonly Uptime: number;
}

/** Looks at the machine; each look tells of the time since the one before. */
export class HostLook {
  #before = processorTimes();
  #share = 0;

  now(): HostFacts {
    const times = processorTimes();
    const passed = times.all - this.#before.all;
    if (passed > 0) {
      this.#share = 1 - (times.idle - this.#before.idle) / passed;
      this.#before = times;
    }
    return {
      CPU: Math.round(this.#share * 1000) / 1000,
      Cores: availableParallelism(),
      Memory: { TotalBytes: totalmem(), FreeBytes: freemem() },
      Load: loadavg().map((load) => Math.round(load * 100) / 100),
      Uptime: Math.round(uptime()),
    };
  }
}

function processorTimes(): { all: number; idle: number } {
  let all = 0;
  let idle = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    all += times.user + times.nice + times.sys + times.idle + times.irq;
  }
  return { all, idle };
}
