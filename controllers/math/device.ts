import { mathAdaptor } from '../../services/math/adaptor.js';
import { MathService } from '../../services/math/service.js';
import type { MakeDevice } from '../kernel/device.js';
import { mathTypedService } from './service.js';
import type { MathSettings } from './settings.js';

/** A math node's device. Its workers start at the first call that needs one. */
export const makeMathDevice: MakeDevice<MathSettings> = ({ settings }) => {
  const math = new MathService(settings);
  return Promise.resolve({
    adaptor: mathAdaptor(math),
    services: [mathTypedService(math)],
    [Symbol.asyncDispose]: () => math[Symbol.asyncDispose](),
  });
};
