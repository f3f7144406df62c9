import type { z } from 'zod';

import type { ControllerConfig, ZooKeeperConfig } from './data-center-config.js';
import type { Problem } from './problems.js';
import type { sections } from './sections.js';
import { foundText } from './values.js';

type ZooKeeperSection = z.output<(typeof sections)['ZooKeeper']>;

/** One section for each device type, and a port of its own for each node. */
export function checkControllers(
  controllers: readonly ControllerConfig[],
  problems: Problem[],
): void {
  const types = new Map<string, string>();
  const ports = new Map<number, string>();
  for (const { section, type, nodes } of controllers) {
    const twin = types.get(type);
    if (twin !== undefined)
      problems.push({
        section,
        key: 'paths_to_controller',
        expected: 'one section for each device type',
        found: `${type}, which [${twin}] has too`,
      });
    types.set(type, section);
    for (const { name, port } of nodes) {
      const other = port === 0 ? undefined : ports.get(port);
      if (other !== undefined)
        problems.push({
          section,
          key: 'ports',
          expected: 'a port of its own for each node',
          found: `${String(port)} for ${name} and ${other}`,
        });
      ports.set(port, name);
    }
  }
}

/** What ZooKeeper itself would refuse. `section` holds the keys that are right. */
export function checkZooKeeper(section: Partial<ZooKeeperSection>, problems: Problem[]): void {
  const wrong = (key: string, expected: string, found: unknown): void => {
    problems.push({ section: 'ZooKeeper', key, expected, found: foundText(found) });
  };
  for (const server of section.connect ?? [])
    if (!/^[^\s:,/]+:\d{1,5}$/.test(server)) wrong('connect', 'host:port, host:port, ...', server);
  const { tick_ms: tickMs, session_timeout_ms: timeoutMs } = section;
  // ZooKeeper grants 2 to 20 ticks; an ensemble that runs elsewhere has its own tick.
  if (section.connect || tickMs === undefined || timeoutMs === undefined) return;
  if (timeoutMs < 2 * tickMs || timeoutMs > 20 * tickMs)
    wrong(
      'session_timeout_ms',
      `2 to 20 ticks of ${String(tickMs)}: ${String(2 * tickMs)} to ${String(20 * tickMs)}`,
      timeoutMs,
    );
}

/** ZooKeeper, unless a line of the file chooses the embedded twin. */
export function zookeeperFrom(
  section: ZooKeeperSection,
  controllers: readonly ControllerConfig[],
): ZooKeeperConfig {
  const refusing = controllers.find((controller) => controller.listed && !controller.zookeeper);
  const disabledBy = !section.enabled
    ? '[ZooKeeper] enabled = false'
    : refusing && `[${refusing.section}] zookeeper = false`;
  return {
    enabled: disabledBy === undefined,
    disabledBy,
    servers: section.servers,
    connect: section.connect?.join(','),
    tickMs: section.tick_ms,
    sessionTimeoutMs: section.session_timeout_ms,
  };
}
