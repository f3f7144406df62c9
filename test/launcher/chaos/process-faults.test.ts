import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { ProcessFaults } from '../../../launcher/chaos/process-faults.js';
import { findProcess, isPaused } from '../../../launcher/chaos/process-table.js';
import { isOnSearchPath } from '../../../config/search-path.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { StateFolder } from '../state-folder.js';

/** Answers each line with what became of writing it to its file; `signal` tells of SIGUSR2. */
const SCRIPT = `
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
if (process.env.HEARS) process.on('SIGUSR2', () => console.log('signal'));
createInterface({ input: process.stdin }).on('line', (line) => {
  try { appendFileSync(process.env.FILE, line); console.log('written'); } catch (error) { console.log(error.code); }
});
console.log('ready');
`;

/** A process that looks like a node of the state folder. */
class FakeNode implements AsyncDisposable {
  readonly file: string;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #wake: () => void = () => undefined;

  constructor(statePath: string, script: string, name: string, hears: boolean) {
    this.file = path.join(statePath, `${name}.txt`);
    this.#child = spawn(process.execPath, [script, '--name', name, '--type', 'math'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { FRACTORY_STATE: statePath, FILE: this.file, ...(hears && { HEARS: '1' }) },
    });
    this.#child.stdout?.on('data', (data: Buffer) => {
      this.#lines.push(...data.toString().trim().split('\n'));
      this.#wake();
    });
  }

  static async start(statePath: string, name: string, hears = true): Promise<FakeNode> {
    const script = path.join(statePath, 'node.mjs');
    await writeFile(script, SCRIPT);
    const node = new FakeNode(statePath, script, name, hears);
    assert.is(await node.said(), 'ready');
    return node;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): Promise<unknown> {
    return once(this.#child, 'exit');
  }

  async said(): Promise<string> {
    while (this.#lines.length === 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#lines.shift() ?? '';
  }

  write(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`);
    return this.said();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const { ended } = this;
    this.#child.kill('SIGKILL');
    await ended;
  }
}

const linuxOnly = process.platform !== 'linux' && 'it reads /proc';
const noPrlimit = !isOnSearchPath('prlimit') && 'there is no prlimit';

suite('faults of processes', (test) => {
  test(
    'a node is found by its name and state folder, and nowhere else',
    async () => {
      await using state = await StateFolder.create();
      await using node = await FakeNode.start(state.path, 'math-7');
      assert.is((await findProcess(state.path, 'math-7'))?.pid, node.pid);
      assert.is(await findProcess(state.path, 'math-8'), undefined);
      assert.is(await findProcess('/nowhere', 'math-7'), undefined);
    },
    { skip: linuxOnly },
  );

  test(
    'a paused process stands still until it is healed',
    async () => {
      await using state = await StateFolder.create();
      await using node = await FakeNode.start(state.path, 'math-7');
      const faults = new ProcessFaults(state.path);
      await faults.pause('math-7');
      const identity = await findProcess(state.path, 'math-7');
      assert.ok(identity && (await isPaused(identity)));
      assert.equal(await faults.heal('math-7'), ['pause']);
      assert.is(await node.write('x'), 'written');
      assert.equal(await faults.heal('math-7'), []);
    },
    { skip: linuxOnly },
  );

  test(
    'with a full disk every write fails until it is healed, and nothing ends the process',
    async () => {
      await using state = await StateFolder.create();
      await using node = await FakeNode.start(state.path, 'math-7');
      const faults = new ProcessFaults(state.path);
      assert.is(await node.write('before'), 'written');
      await faults.fillDisk('math-7');
      assert.is(await node.write('lost'), 'EFBIG');
      assert.equal(await faults.heal('math-7'), ['fill-disk']);
      assert.is(await node.write(' after'), 'written');
      assert.is(await readFile(node.file, 'utf8'), 'before after');
    },
    { skip: linuxOnly || noPrlimit },
  );

  test(
    'a session is expired by a signal, which is not sent to whom it would end',
    async () => {
      await using state = await StateFolder.create();
      await using node = await FakeNode.start(state.path, 'math-7');
      await using deaf = await FakeNode.start(state.path, 'math-8', false);
      const faults = new ProcessFaults(state.path);
      await faults.expireSession('math-7');
      assert.is(await node.said(), 'signal');
      await rejects(faults.expireSession('math-8'), FractoryError, { reason: 'CANT_EXPIRE' });
      assert.is(await deaf.write('x'), 'written');
    },
    { skip: linuxOnly },
  );

  test(
    'a killed process is gone, and can be hurt no more',
    async () => {
      await using state = await StateFolder.create();
      await using node = await FakeNode.start(state.path, 'math-7');
      const faults = new ProcessFaults(state.path);
      const { ended } = node;
      await faults.kill('math-7');
      await ended;
      await rejects(faults.pause('math-7'), FractoryError, { reason: 'NO_PROCESS' });
      assert.equal(await faults.heal('math-7'), []);
    },
    { skip: linuxOnly },
  );
});
