import { Help } from 'commander';
import type { Command } from 'commander';

/** Puts the usage and examples above everything else in the help of a command. */
export function withExamples(
  command: Command,
  examples: readonly (readonly [command: string, what: string])[],
): void {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}  # ${what}`);
  const own = `\nExamples:\n${lines.join('\n')}\n`;
  command.configureHelp({
    formatHelp: (shown, helper) => {
      const text = Help.prototype.formatHelp.call(helper, shown, helper);
      // Commands below this one inherit how it formats.
      return shown === command ? text.replace('\n', `\n${own}`) : text;
    },
  });
}
