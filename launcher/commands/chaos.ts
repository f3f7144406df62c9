import type { Command } from 'commander';

import type { CommandContext } from '../command-context.js';
import { addChaosFaults } from './chaos-faults.js';
import { addChaosMonkey } from './chaos-monkey.js';
import { addChaosReport } from './chaos-report.js';
import { withExamples } from './examples.js';

const MEMBERS = `
A MEMBER is a member's id (storage-1), a server of ZooKeeper (zookeeper-1), or the leader of a type (leader:storage, leader:zookeeper); several with
spaces or commas between them. Unless --no-load is given, small runs go on meanwhile, each is checked, and what happened to them is told.
slow and partition need a data center that was started with ./datacenter up --namespaces. Every experiment is kept in the state folder, under chaos/.`;

export function addChaos(program: Command, context: CommandContext): void {
  const chaos = program
    .command('chaos')
    .description('break members of the running data center and measure what that does');
  chaos.addHelpText('after', MEMBERS);
  withExamples(chaos, [
    ['./datacenter chaos kill leader:storage', 'kill -9 the leader; how soon do runs go on?'],
    ['./datacenter chaos pause math-1 --for 5s', 'freeze a node for a while'],
    ['./datacenter chaos partition storage-1 --from zookeeper --for 5s', 'cut a link'],
    ['./datacenter chaos heal', 'undo everything that was done'],
    ['./datacenter chaos monkey --for 60s --every 1s', 'a random fault each second'],
    ['./datacenter chaos report --svg chaos.svg', 'the last experiment as table and picture'],
  ]);
  addChaosFaults(chaos, context);
  addChaosMonkey(chaos, context);
  addChaosReport(chaos, context);
}
