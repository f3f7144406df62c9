import { section } from '../../config/fields.js';

/** Keys of `[application_controller]` beyond those of every controller: none yet; its limits stand in `[Limits]`. */
export const settings = section({});
