import { oneOf, section } from '../../config/fields.js';

/** `serve`: like a node. `die`: ends before it serves. `deaf`: doesn't hear SIGTERM. */
export const settings = section({
  behaviour: oneOf('serve', 'die', 'deaf').default('serve'),
});
