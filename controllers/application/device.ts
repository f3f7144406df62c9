import { applicationAdaptor } from '../../services/application/adaptor.js';
import { RunTable } from '../../services/application/run-table.js';
import type { Device, DeviceContext } from '../kernel/device.js';
import { Runner } from './runner.js';
import { applicationService } from './service.js';

/** The application node: it composes the operations of others and has a few small ones of its own. */
export function makeApplicationDevice(context: DeviceContext<unknown>): Promise<Device> {
  const { kernel, member, log, tracer } = context;
  const { max_runs, max_remembered_runs, max_remembered_bytes } = kernel.limits;
  const runs = new RunTable({
    maxRuns: max_runs,
    maxRemembered: max_remembered_runs,
    maxRememberedBytes: max_remembered_bytes,
  });
  const runner = new Runner(kernel, log, tracer);
  return Promise.resolve({
    adaptor: applicationAdaptor(),
    services: [applicationService({ member, kernel, runs, runner })],
    [Symbol.asyncDispose]: () => {
      runner.stop();
      return Promise.resolve();
    },
  });
}
