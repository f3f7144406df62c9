import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { readTerminal } from '../../config/terminal.js';
import { runApplications } from '../../launcher/application-process.js';
import { commandContext } from '../../launcher/command-context.js';
import type { CommandContext } from '../../launcher/command-context.js';
import { Interruption } from '../../launcher/interruption.js';
import { Terminal } from '../../launcher/terminal.js';
import { assert, suite } from '../suite.js';
import { StateFolder } from './state-folder.js';

/** A project whose applications' program is this text. */
async function contextWith(root: string, program: string): Promise<CommandContext> {
  const main = path.join(root, 'dist/applications/sdk/main.js');
  await mkdir(path.dirname(main), { recursive: true });
  await writeFile(main, program);
  const context = commandContext(new Terminal(readTerminal({})), new Interruption());
  return { ...context, places: { root, statePath: root } };
}

suite('application process', (test) => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    test(`${signal} to the launcher alone ends the application too, with ${String(code)}`, async () => {
      await using folder = await StateFolder.create();
      const context = await contextWith(folder.path, 'setInterval(() => undefined, 1000);');
      const ended = runApplications(context, []);
      context.interruption.ask(signal);
      assert.is(await ended, code);
    });

  test('its exit code is that of the command', async () => {
    await using folder = await StateFolder.create();
    const context = await contextWith(folder.path, 'process.exit(7);');
    assert.is(await runApplications(context, []), 7);
  });
});
