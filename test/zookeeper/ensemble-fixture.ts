import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { silentLogger } from '../../runtime/logger.js';
import { Ensemble } from '../../zookeeper/ensemble.js';

/** Why tests that need ZooKeeper can't run here; undefined where they can. */
export async function whyNoZooKeeper(): Promise<string | undefined> {
  const found = await findZooKeeper();
  return found.ok ? undefined : `no ${found.missing} here: ${found.remedy}`;
}

function findZooKeeper(): ReturnType<typeof Ensemble.find> {
  const { ZOOKEEPER_HOME, JAVA_HOME, PATH } = process.env;
  return Ensemble.find({ zookeeperHome: ZOOKEEPER_HOME, javaHome: JAVA_HOME, searchPath: PATH });
}

export interface EnsembleFixture extends AsyncDisposable {
  readonly ensemble: Ensemble;
  /** `host:port,...` */
  readonly connect: string;
  /** Folder of data and logs; removed at the end. */
  readonly path: string;
}

export interface EnsembleFixtureOptions {
  /** Default 1. */
  readonly servers?: number;
  /** Default 200: sessions of 400 to 4,000 ms. */
  readonly tickMs?: number;
  /** Folder of the class archive. Default: one that all tests share. */
  readonly archivePath?: string;
}

/** A throw-away ensemble of real servers, ready to serve: `await using zookeeper = await startEnsemble()`. */
export async function startEnsemble(
  options: EnsembleFixtureOptions = {},
): Promise<EnsembleFixture> {
  const root = await mkdtemp(path.join(tmpdir(), 'fractory-zookeeper-'));
  const ensemble = await ensembleIn(root, options);
  try {
    await ensemble.start();
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw error;
  }
  return {
    ensemble,
    connect: ensemble.connect,
    path: root,
    async [Symbol.asyncDispose]() {
      await ensemble.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** An ensemble that is not started, with its data in `root`. */
export async function ensembleIn(
  root: string,
  options: EnsembleFixtureOptions = {},
): Promise<Ensemble> {
  const installation = await findZooKeeper();
  if (!installation.ok) throw new Error(`no ${installation.missing} here`);
  return new Ensemble({
    installation,
    servers: options.servers ?? 1,
    tickMs: options.tickMs ?? 200,
    path: root,
    archivePath: options.archivePath ?? path.join(tmpdir(), 'fractory-class-archive'),
    log: silentLogger(),
  });
}
