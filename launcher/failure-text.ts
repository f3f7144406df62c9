import { FractoryError } from '../runtime/errors.js';
import type { Colours } from './colours.js';
import { StartFailure } from './data-center-run.js';
import { LogPainter } from './log-painter.js';

/** What people are told about a failure: one line, or a stack where it is a bug of ours. */
export function describeFailure(thrown: unknown, colours: Colours): string {
  const error = colours.red('error:');
  if (thrown instanceof StartFailure) {
    const painter = new LogPainter(colours);
    const lines = thrown.lastLines.map((line) => `  ${painter.paint(thrown.member, line)}`);
    return [`${error} ${thrown.message}; the end of its log:`, ...lines].join('\n');
  }
  if (thrown instanceof FractoryError) return `${error} ${thrown.message}`;
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return `${error} ${stack}`;
}
