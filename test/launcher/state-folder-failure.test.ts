import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { stateFolderFailure } from '../../launcher/state-folder-failure.js';
import { makeFolder } from '../../runtime/made-folder.js';
import { assert, suite } from '../suite.js';
import { StateFolder } from './state-folder.js';
import { StubDataCenter } from './stub-data-center.js';

const thrownBy = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

function refusal(code: string, syscall: string, where: string): Error {
  return Object.assign(new Error(code), { code, syscall, path: where });
}

suite('a state folder that can not be used', (test) => {
  test('is told in one line, and what to do', async () => {
    await using folder = await StateFolder.create();
    const file = path.join(folder.path, 'file');
    await writeFile(file, '');
    for (const work of [
      readFile(path.join(file, 'run.json')),
      makeFolder(path.join(file, 'logs')),
    ]) {
      const failure = stateFolderFailure(await thrownBy(work), file);
      if (!failure) throw new Error('it is not told');
      assert.is(failure.code, status.INVALID_ARGUMENT);
      assert.match(
        failure.message,
        /^the state folder \S+ can't be used: \S+ is a file .*; FRACTORY_STATE=FOLDER/,
      );
      assert.not.match(failure.message, '\n');
    }
  });

  test('is one that can not be made or written; a full disk is a failure, not a wrong setting', () => {
    const codeOf = (code: string, syscall: string, where: string) =>
      stateFolderFailure(refusal(code, syscall, where), '/a/state')?.code;
    assert.is(codeOf('ENOENT', 'mkdir', '/a'), status.INVALID_ARGUMENT);
    assert.is(codeOf('EACCES', 'mkdir', '/a/state/logs'), status.INVALID_ARGUMENT);
    assert.is(codeOf('EROFS', 'open', '/a/state/secret'), status.INVALID_ARGUMENT);
    assert.is(codeOf('ENOSPC', 'open', '/a/state/secret'), status.RESOURCE_EXHAUSTED);
  });

  test('is not named where something in it or above it is what is wrong', () => {
    const textOf = (code: string, where: string) =>
      stateFolderFailure(refusal(code, 'mkdir', where), '/a/state')?.message ?? '';
    assert.match(
      textOf('EEXIST', '/a/state/logs'),
      /can't be used: \/a\/state\/logs is a file, not a folder \(EEXIST\);/,
    );
    assert.match(textOf('ENOENT', '/a'), /can't be used: \/a can't be made there \(ENOENT\);/);
    assert.match(textOf('EACCES', '/a/state'), /can't be used: it is not yours/);
  });

  test('is not blamed for what has nothing to do with it', () => {
    for (const error of [
      refusal('ENOENT', 'open', '/a/state/x'),
      refusal('EACCES', 'open', '/a/stately/x'),
      refusal('EACCES', 'open', '/a'),
      new Error('a bug'),
    ])
      assert.is(stateFolderFailure(error, '/a/state'), undefined);
  });

  test(
    'ends every command with 2 and that line, and is what the doctor finds',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: {} });
      await writeFile(dataCenter.statePath, '');
      for (const args of [['up', '--detach'], ['demo'], ['status'], ['down'], ['logs']]) {
        const { code, stderr } = await dataCenter.run(...args);
        assert.is(code, 2, stderr);
        assert.match(stderr, /^error: the state folder .* can't be used: \S+ is a file .*\n$/);
      }
      const { code, stdout } = await dataCenter.run('doctor');
      assert.is(code, 1);
      assert.match(stdout, /missing {2}state folder .* is a file/);
    },
    { timeoutMs: 40_000 },
  );
});
