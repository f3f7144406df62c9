import { oneOf, section } from '../../config/fields.js';

/** `serve`: like a node. `die`: ends before it serves. `deaf`: doesn't hear SIGTERM. `once`: ends before it serves, but the first time. `lost`: registers where nobody listens. */
export const settings = section({
  behaviour: oneOf('serve', 'die', 'deaf', 'once', 'lost').default('serve'),
});
