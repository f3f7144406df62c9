import { createHmac } from 'node:crypto';

/** Metadata key by which one process shows another that it belongs to the data center. */
export const LINK_KEY = 'fractory-link';

/** What is shown under it: derived from the data center's secret, which it doesn't give away. */
export function linkKeyOf(secret: string): string {
  return createHmac('sha256', secret).update('link').digest('hex');
}
