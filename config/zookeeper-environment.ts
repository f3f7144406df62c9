/** What the environment says about where Java and ZooKeeper are. */
export interface ZooKeeperEnvironment {
  readonly zookeeperHome: string | undefined;
  readonly javaHome: string | undefined;
  readonly searchPath: string | undefined;
}

export function zookeeperEnvironment(
  environment: NodeJS.ProcessEnv = process.env,
): ZooKeeperEnvironment {
  const { ZOOKEEPER_HOME, JAVA_HOME, PATH } = environment;
  return { zookeeperHome: ZOOKEEPER_HOME, javaHome: JAVA_HOME, searchPath: PATH };
}
