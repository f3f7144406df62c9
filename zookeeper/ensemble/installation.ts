import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import path from 'node:path';

export interface FindOptions {
  /** Value of `$ZOOKEEPER_HOME`: an unpacked distribution, with its jars in `lib/`. Looked at before Debian's package. */
  readonly zookeeperHome?: string | undefined;
  /** Value of `$JAVA_HOME`. Looked at before `searchPath`. */
  readonly javaHome?: string | undefined;
  /** Value of `$PATH`. Default `/usr/local/bin:/usr/bin:/bin`. */
  readonly searchPath?: string | undefined;
}

/** Where Java and ZooKeeper are, or which of them is missing and what mends that. */
export type Installation =
  | { readonly ok: true; readonly java: string; readonly classPath: string }
  | { readonly ok: false; readonly missing: 'java' | 'zookeeper'; readonly remedy: string };

/** The manifest of Debian's jar names all that it needs, so one jar is enough; the other makes it write a log. */
const DEBIAN_JAR = '/usr/share/java/zookeeper.jar';
const DEBIAN_LOGGER = '/usr/share/java/slf4j-simple.jar';
const DEFAULT_SEARCH_PATH = '/usr/local/bin:/usr/bin:/bin';

export async function findInstallation(options: FindOptions = {}): Promise<Installation> {
  const java = await findJava(options);
  if (java === undefined)
    return missing('java', 'apt-get install -y default-jre-headless zookeeper');
  const home = options.zookeeperHome;
  const classPath = home ? await classPathOf(home) : await debianClassPath();
  if (classPath !== undefined) return { ok: true, java, classPath };
  if (home) return missing('zookeeper', `ZOOKEEPER_HOME=${home} holds no zookeeper jar: mend it`);
  return missing('zookeeper', 'apt-get install -y --no-install-recommends zookeeper');
}

function missing(what: 'java' | 'zookeeper', remedy: string): Installation {
  return { ok: false, missing: what, remedy };
}

async function findJava(options: FindOptions): Promise<string | undefined> {
  const folders = (options.searchPath ?? DEFAULT_SEARCH_PATH).split(path.delimiter);
  if (options.javaHome) folders.unshift(path.join(options.javaHome, 'bin'));
  for (const folder of folders) {
    const candidate = path.join(folder, 'java');
    if (folder !== '' && (await allows(candidate, constants.X_OK))) return candidate;
  }
  return undefined;
}

async function debianClassPath(): Promise<string | undefined> {
  if (!(await allows(DEBIAN_JAR, constants.R_OK))) return undefined;
  return (await allows(DEBIAN_LOGGER, constants.R_OK))
    ? [DEBIAN_JAR, DEBIAN_LOGGER].join(path.delimiter)
    : DEBIAN_JAR;
}

/** `conf` too: it holds the settings of the log. */
async function classPathOf(home: string): Promise<string | undefined> {
  const jars = [...(await jarsIn(home)), ...(await jarsIn(path.join(home, 'lib')))];
  if (!jars.some((jar) => /^zookeeper-[\d.]+.*\.jar$/.test(path.basename(jar)))) return undefined;
  return [...jars, path.join(home, 'conf')].join(path.delimiter);
}

async function jarsIn(folder: string): Promise<string[]> {
  if (!(await allows(folder, constants.R_OK))) return [];
  const names = await readdir(folder);
  return names
    .filter((name) => name.endsWith('.jar'))
    .sort()
    .map((name) => path.join(folder, name));
}

async function allows(file: string, mode: number): Promise<boolean> {
  try {
    await access(file, mode);
    return true;
  } catch {
    return false;
  }
}
