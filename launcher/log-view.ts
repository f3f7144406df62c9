import type { LogFiles } from './log-files.js';
import { LogFollower } from './log-files.js';
import { LogPainter } from './log-painter.js';
import type { Terminal } from './terminal.js';

/** Shows the logs as they grow, readable and coloured by node; disposing it shows what is there already and ends. */
export async function showLogs(
  logs: LogFiles,
  terminal: Terminal,
  only?: readonly string[],
): Promise<AsyncDisposable> {
  const painter = new LogPainter(terminal.outputColours);
  const follower = new LogFollower(
    logs,
    (member, line) => {
      terminal.print(painter.paint(member, line));
    },
    only,
  );
  await follower.start();
  return { [Symbol.asyncDispose]: () => follower.stop() };
}
