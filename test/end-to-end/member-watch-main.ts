import { once } from 'node:events';

import { commandContext } from '../../launcher/command-context.js';
import { Interruption } from '../../launcher/interruption.js';
import { findRunning, withCoordinator } from '../../launcher/running-data-center.js';
import { Terminal } from '../../launcher/terminal.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Member } from '../../zookeeper/coordinator.js';

// The other process of `member-watch.ts`: tells the members, at once and at each change.
const plain = { outputColours: false, errorColours: false, interactive: false };
const context = commandContext(new Terminal(plain), new Interruption());

function tell(members: readonly Member[]): void {
  const told = members.map(({ id, type, epoch }) => {
    return { id, type, epoch: String(epoch), leader: leaderOf(members, type)?.id === id };
  });
  process.send?.(told);
}

const gone = once(process, 'disconnect');
await withCoordinator(await findRunning(context), async (coordinator) => {
  coordinator.onMembers(tell);
  tell(coordinator.members());
  await gone;
});
