import { readArguments } from '../runtime/arguments.js';
import { readTerminal } from '../config/terminal.js';
import { commandContext } from './command-context.js';
import { CommanderError } from 'commander';
import { exitCodeOf, ExitRequest } from './exit-codes.js';
import { describeFailure } from './failure-text.js';
import { Interruption } from './interruption.js';
import { runInside } from './network/inside-run.js';
import { makeProgram } from './program.js';
import { stateFolderFailure } from './state-folder-failure.js';
import { Terminal } from './terminal.js';

const terminal = new Terminal(readTerminal());
const interruption = new Interruption();
interruption.listen();
// Whoever read our output has read enough: `./datacenter logs | head`.
process.stdout.on('error', () => process.exit(0));

const context = commandContext(terminal, interruption);
try {
  const args = readArguments();
  const code = await runInside(context, args);
  if (code !== undefined) throw new ExitRequest(code);
  const program = makeProgram(context);
  if (args.length === 0) program.outputHelp();
  else await program.parseAsync([...args], { from: 'user' });
  process.exit(0);
} catch (thrown) {
  const error = stateFolderFailure(thrown, context.places.statePath) ?? thrown;
  // Commander has said already what was wrong.
  if (!(error instanceof ExitRequest) && !(error instanceof CommanderError))
    terminal.note(describeFailure(error, terminal.errorColours));
  process.exit(exitCodeOf(error));
}
