import { hostname } from 'node:os';

import type { Command } from 'commander';

import { Agent } from '../../gossip/agent/agent.js';
import type { AgentOptions } from '../../gossip/agent/agent.js';
import { HttpFace } from '../../gossip/agent/http-face.js';
import type { MemberChange } from '../../gossip/core/membership.js';
import { endpointText } from '../../gossip/net/address.js';
import { bindProblem } from '../../runtime/bind-problem.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { createLogger } from '../../runtime/logger.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { planAgent } from '../gossip/agent-options.js';
import type { GossipFlags } from '../gossip/agent-options.js';
import type { Terminal } from '../terminal.js';
import { withExamples } from './examples.js';

export function addGossip(program: Command, context: CommandContext): void {
  const collect = (value: string, before: readonly string[]): string[] => [...before, value];
  const command = program
    .command('gossip')
    .description('an edge agent: a member of a cluster of memberlist or Serf agents, until Ctrl-C')
    .option('--name <name>', 'unique in the cluster; default: the name of this machine')
    .option('--bind <address:port>', 'where it listens', '127.0.0.1:7946')
    .option('--advertise <address:port>', 'where others reach it, if that is elsewhere')
    .option('--join <address:port,...>', 'members to join; any member will do')
    .option('--http <address:port>', 'where it tells /members, /info, /get', '127.0.0.1:0')
    .option('--token <token>', 'callers of the HTTP address show it; needed beyond loopback')
    .option('--profile <profile>', 'fast, lan, wan or local', 'lan')
    .option('--key <base64>', '16, 24 or 32 bytes that all members share')
    .option('--key-file <file>', 'a file with keys, the one that encrypts first')
    .option(
      '--keyring <file>',
      'keeps the keys that serf keys changes; made with --key, later alone (as Serf -keyring-file)',
    )
    .option('--plain', 'beyond loopback without a key: anybody may say anything')
    .option('--label <label>', 'keeps clusters on one network apart')
    .option('--tag <key=value>', 'what others see of it; may be repeated', collect, [])
    .action((flags: GossipFlags) => gossip(context, flags));
  withExamples(command, [
    ['./datacenter gossip --name a --http 127.0.0.1:8000', 'the first member, a seed'],
    ['./datacenter gossip --name b --bind 127.0.0.1:7947 --join 127.0.0.1:7946', 'joins it'],
    ['curl http://127.0.0.1:8000/members', 'who is there'],
    ["curl -X POST 'http://127.0.0.1:8000/add?key=k&val=v'", 'every agent knows it'],
  ]);
}

async function gossip(context: CommandContext, flags: GossipFlags): Promise<void> {
  const { terminal, interruption } = context;
  const plan = await planAgent(flags, hostname());
  interruption.handle();
  // Whoever can't write it now would forget keys later.
  if (plan.makesKeyring) await plan.agent.keyring?.keep();
  // Faults of ours, with their stack.
  const log = createLogger({ level: 'error', descriptor: process.stderr.fd });
  await using agent = await started({ ...plan.agent, log }, terminal);
  const { host, port, token } = plan.http;
  await using face = await opened(
    HttpFace.open(agent, host, port, token, log),
    `${host}:${String(port)}`,
  );
  const { local } = agent;
  terminal.print(
    `${local.name} gossips at ${endpointText(local)}, http://${shown(host)}:${String(face.port)}`,
  );
  const joining = plan.join.length > 0 ? join(agent, plan.join, context) : Promise.resolve();
  // Rejects where it can't be a member: then it ends without a goodbye.
  await Promise.race([interruption.asked(), joining.then(() => interruption.asked())]);
  terminal.note('leaving');
  await agent.leave();
  if (interruption.by === 'SIGINT') throw new ExitRequest(ExitCode.interrupted);
}

function started(agent: AgentOptions, terminal: Terminal): Promise<Agent> {
  const starting = Agent.start({
    ...agent,
    onChange: (change) => {
      terminal.print(lineOf(change));
    },
    onRekeyed: (how, problem) => {
      const kept = agent.keyring?.isKept === true ? '' : ', forgotten when this agent ends';
      terminal.print(`${timeNow()} keys     ${how}: ${problem ?? `done${kept}`}`);
    },
    onEvent: ({ name, payload }) => {
      terminal.print(
        `${timeNow()} event    ${plain(name)} ${plain(Buffer.from(payload).toString())}`,
      );
    },
  });
  return opened(starting, `${agent.bind ?? ''}:${String(agent.port ?? '')}`);
}

/** What the system says of an address, in our words. */
async function opened<T>(opening: Promise<T>, where: string): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof FractoryError) throw error;
    throw unavailable('ADDRESS', `can't listen at ${where}: ${bindProblem(error)}`, {
      cause: error,
    });
  }
}

async function join(
  agent: Agent,
  addresses: readonly string[],
  { terminal, interruption }: CommandContext,
): Promise<void> {
  try {
    await agent.joinSooner(addresses, interruption.signal, (why, againInMs) => {
      terminal.note(`${why}; again in ${String(againInMs / 1000)} s`);
    });
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  }
}

function lineOf(change: MemberChange): string {
  const { kind, member } = change;
  const other = change.kind === 'conflict' ? ` and ${endpointText(change.other)}` : '';
  return `${timeNow()} ${kind.padEnd(8)} ${plain(member.name)} ${endpointText(member)}${other}`;
}

function timeNow(): string {
  return new Date().toISOString().slice(11, 19);
}

/** What others say must not move the cursor of this terminal. */
function plain(text: string): string {
  return text.slice(0, 200).replaceAll(/\p{C}/gu, '.');
}

function shown(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
