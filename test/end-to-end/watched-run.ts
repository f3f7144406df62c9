import { startCall } from './foreign-client.js';
import type { Json } from './foreign-client.js';
import type { StartedCommand } from './started-command.js';

export interface EndedRun {
  readonly state: string;
  readonly attempts: number;
  readonly result?: { readonly integer?: string; readonly text?: string };
  readonly failure?: { readonly reason: string; readonly message: string; readonly step?: string };
  readonly receipts?: readonly { readonly step: string; readonly member: string }[];
}

/** A run whose events a foreign client prints as they come. */
export interface WatchedRun {
  readonly ended: StartedCommand['ended'];
  said(text: string): Promise<void>;
  /** How it ended. */
  end(): Promise<EndedRun>;
}

/** Sends a run, or attaches to one by its id. */
export function watchedRun(
  address: string,
  request: Json & { readonly run?: string },
  method: 'Run' | 'Watch' = 'Run',
): WatchedRun {
  const sent = method === 'Run' ? request : { run: request.run ?? '' };
  const { command, answers } = startCall(address, `ApplicationService/${method}`, [sent]);
  return {
    ended: command.ended,
    said: (text) => command.said(text),
    end: async () => {
      const events = (await answers()) as { event: { ended?: EndedRun } }[];
      const ended = events.at(-1)?.event.ended;
      if (!ended) throw new Error(`the run did not end: ${JSON.stringify(events)}`);
      return ended;
    },
  };
}
