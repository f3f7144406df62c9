// Turns every TypeScript file into JavaScript under dist/, file by file and without type checks (`npm run types` checks them),
// so that an edit runs at once. `--if-stale` does nothing where dist/ is newer than all sources.
import { build } from 'esbuild';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';

const root = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const skipped = new Set(['node_modules', 'dist', '.fractory', '.git']);
const stamp = path.join(root, 'dist', '.built');

async function sources(folder) {
  const found = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory() && !skipped.has(entry.name)) found.push(...(await sources(full)));
    else if (entry.isFile() && entry.name.endsWith('.ts')) found.push(full);
  }
  return found;
}

async function isFresh(files) {
  const built = await stat(stamp).catch(() => undefined);
  if (!built) return false;
  const times = await Promise.all(
    [...files, path.join(root, 'build.mjs')].map((file) => stat(file)),
  );
  const sameFiles = (await readFile(stamp, 'utf8')) === namesOf(files);
  return sameFiles && times.every((time) => time.mtimeMs < built.mtimeMs);
}

/** Writes a file that has changed, whole at once: a process that starts meanwhile never reads half of it. */
async function replace({ path: file, contents }) {
  const old = await readFile(file).catch(() => undefined);
  if (old?.equals(contents)) return;
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, contents);
  await rename(temporary, file);
}

const namesOf = (files) => files.map((file) => path.relative(root, file)).join('\n');

/** Removes what was built from sources that are gone since the last build. */
async function removeOrphans(files) {
  const present = new Set(files.map((file) => path.relative(root, file)));
  const before = (await readFile(stamp, 'utf8').catch(() => '')).split('\n');
  for (const name of before.filter((one) => one !== '' && !present.has(one))) {
    const output = path.join(root, 'dist', name.replace(/\.ts$/, '.js'));
    await rm(output, { force: true });
    await rm(`${output}.map`, { force: true });
  }
}

function transpile(names) {
  return build({
    write: false,
    absWorkingDir: root,
    entryPoints: names,
    outdir: 'dist',
    outbase: '.',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'warning',
  });
}

/**
 * What the sources become. An application that can't be built doesn't keep the others from running: it becomes one that says what is
 * wrong with it. Any other error ends the build; esbuild has said already what is wrong where.
 */
async function outputsOf(names) {
  try {
    return (await transpile(names)).outputFiles;
  } catch (failure) {
    const broken = new Map(
      (failure.errors ?? []).map((error) => [error.location?.file ?? '', error]),
    );
    const isApplication = (name) => /^applications\/[^/]+\.ts$/.test(name);
    if (broken.size === 0 || ![...broken.keys()].every(isApplication)) process.exit(1);
    const rest = await outputsOf(names.filter((name) => !broken.has(name)));
    return [...rest, ...[...broken].map(([name, error]) => brokenApplication(name, error))];
  }
}

function brokenApplication(name, { text, location }) {
  const message = `${name}:${location.line}:${location.column}: ${text}`;
  return {
    path: path.join(root, 'dist', name.replace(/\.ts$/, '.js')),
    contents: Buffer.from(`throw new SyntaxError(${JSON.stringify(message)});\n`),
  };
}

const started = new Date();
const files = await sources(root);
const ifStale = process.argv.includes('--if-stale');
if (ifStale && (await isFresh(files))) {
  await utimes(stamp, started, started);
} else {
  // eslint-disable-next-line no-console -- what it does is told on standard error
  if (ifStale) console.error('building (node build.mjs)');
  // Only a build that nobody uses yet may be cleared: a running data center loads its files lazily.
  if (process.argv.includes('--clean'))
    await rm(path.join(root, 'dist'), { recursive: true, force: true });
  await Promise.all((await outputsOf(namesOf(files).split('\n'))).map(replace));
  await removeOrphans(files);
  // What was edited while this ran is newer than the stamp.
  await writeFile(stamp, namesOf(files));
  await utimes(stamp, started, started);
}
