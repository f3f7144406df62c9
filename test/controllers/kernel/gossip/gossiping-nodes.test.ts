import { randomBytes } from 'node:crypto';
import { access, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { credentials } from '@grpc/grpc-js';

import type { GossipConfig } from '../../../../config/node-config.js';
import {
  ControllerServiceClient,
  GossipState,
} from '../../../../protos/gen/fractory/v1/controller.js';
import type {
  DescribeGossipResponse,
  GossipMember,
} from '../../../../protos/gen/fractory/v1/controller.js';
import { SerfAgent, withoutSerf } from '../../../../bench/interop/serf-agent.js';
import type { SerfView } from '../../../../bench/interop/serf-agent.js';
import { temporaryFolder } from '../../../services/storage/fixture.js';
import { assert, rejects, suite } from '../../../suite.js';
import { Nodes } from '../nodes.js';
import type { RunningNode } from '../nodes.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const gossip: GossipConfig = { profile: 'fast', join: [], port: 0, keys: [KEY] };
const timeoutMs = 30_000;
const { ALIVE } = GossipState;

/** What a node says of gossip. */
async function viewOf({ node }: RunningNode): Promise<DescribeGossipResponse> {
  const client = new ControllerServiceClient(node.address, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.describeGossip({}, (error, answer) => {
        if (error) reject(error);
        else resolve(answer);
      });
    });
  } finally {
    client.close();
  }
}

async function metricsOf({ name, coordinator }: RunningNode): Promise<string> {
  const { metricsAddress } = coordinator.members().find(({ id }) => id === name)!;
  return (await fetch(`http://${metricsAddress}/metrics`)).text();
}

/** Asks again until it is so. */
async function viewWhen(
  node: RunningNode,
  isSo: (view: DescribeGossipResponse) => boolean,
  signal: AbortSignal,
): Promise<DescribeGossipResponse> {
  for (;;) {
    const view = await viewOf(node);
    if (isSo(view)) return view;
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

suite('nodes that gossip', (test) => {
  test(
    'they find each other through the coordinator, tell their epochs, also the next ones, and are left when they leave',
    async ({ signal }) => {
      await using nodes = await Nodes.start({ gossip });
      const one = await nodes.math('math-1');
      await nodes.math('math-2');
      await nodes.storage('storage-1');
      const epochs = new Map(one.coordinator.members().map(({ id, epoch }) => [id, epoch]));
      assert.is(epochs.size, 3);
      const { running, address } = await viewWhen(
        one,
        ({ members }) =>
          members.length === 3 &&
          members.every(({ id, epoch, state }) => state === ALIVE && epochs.get(id) === epoch),
        signal,
      );
      assert.ok(running);
      const listed = one.coordinator.members().find(({ id }) => id === 'math-1');
      assert.is(listed?.gossipAddress, address);
      await nodes.node('math-2').coordinator.expireSession();
      const isLater = ({ id, epoch }: GossipMember): boolean =>
        id === 'math-2' && epoch > (epochs.get(id) ?? 0n);
      await viewWhen(one, ({ members }) => members.some(isLater), signal);
      const metrics = await metricsOf(one);
      assert.match(metrics, /fractory_gossip_members\{state="alive",[^}]*\} 3\n/);
      assert.match(metrics, /fractory_gossip_bytes_total\{direction="out",[^}]*\} [1-9]/);
      assert.match(metrics, /fractory_gossip_awareness\{/);
      const last = nodes.node('math-2').coordinator.members();
      const { epoch: lastEpoch } = last.find(({ id }) => id === 'math-2')!;
      await nodes.stop('math-2');
      const hasLeft = ({ id, state, epoch }: GossipMember): boolean =>
        id === 'math-2' && state === GossipState.LEFT && epoch === lastEpoch;
      await viewWhen(one, ({ members }) => members.some(hasLeft), signal);
    },
    { timeoutMs },
  );

  test(
    'a node that is drained has said goodbye, as the member that it was, when that is answered',
    async ({ signal }) => {
      await using nodes = await Nodes.start({ gossip });
      const one = await nodes.math('math-1');
      const two = await nodes.math('math-2');
      const { epoch: own } = one.coordinator.members().find(({ id }) => id === 'math-2')!;
      const seen = async (): Promise<GossipMember | undefined> =>
        (await viewOf(one)).members.find(({ id }) => id === 'math-2');
      await viewWhen(one, ({ members }) => members.some(({ epoch }) => epoch === own), signal);
      await two.node.drain();
      // Its last packet is out, and may wait in the other one's socket.
      for (let tries = 0; (await seen())?.state === ALIVE && tries < 3; tries++);
      const { state, epoch } = (await seen())!;
      assert.equal([state, epoch], [GossipState.LEFT, own]);
    },
    { timeoutMs },
  );

  test(
    'a node that can not gossip serves all the same, and says that it does not',
    async () => {
      const problem = 'the key is missing';
      await using nodes = await Nodes.start({ gossip: { ...gossip, keys: [], problem } });
      const one = await nodes.math('math-1');
      const { running, members } = await viewOf(one);
      assert.equal([running, members], [false, []]);
      assert.is(one.coordinator.members()[0]?.gossipAddress, undefined);
    },
    { timeoutMs },
  );

  test(
    'nodes with another key do not find each other, and go on',
    async ({ signal }) => {
      const other = { ...gossip, keys: [Buffer.alloc(32, 9).toString('base64')] };
      await using nodes = await Nodes.start({ gossip });
      await using strangers = await Nodes.start({ gossip: other });
      const one = await nodes.math('math-1');
      const { address } = await viewOf(one);
      const two = await strangers.math('math-2');
      assert.not.equal((await viewOf(two)).address, address);
      await viewWhen(one, ({ members }) => members.length === 1, signal);
    },
    { timeoutMs },
  );

  test(
    'an agent of Serf sees them with their tags, and that they leave',
    async ({ signal }) => {
      const host = '127.0.81.1';
      const options = [`-encrypt=${KEY}`, '-profile=local'];
      await using agent = await SerfAgent.start('serf1', host, options);
      await using nodes = await Nodes.start({ gossip: { ...gossip, join: [agent.address] } });
      const one = await nodes.math('math-1');
      const { epoch } = one.coordinator.members()[0]!;
      const ours = (members: Record<string, SerfView>): SerfView | undefined =>
        Object.entries(members).find(([name]) => /^math-1\.[0-9a-f]{8}$/.test(name))?.[1];
      await agent.until((members) => ours(members)?.tags['epoch'] === String(epoch));
      assert.equal(ours(await agent.members())?.tags, {
        ...{ dc: 'test', id: 'math-1', type: 'math', epoch: String(epoch) },
        ...{ grpc: one.node.address, load: '0', work: '0' },
      });
      assert.equal(
        (await viewOf(one)).members.map(({ id }) => id),
        ['math-1'],
        'the agent is no member of the data center',
      );
      await nodes.stop('math-1');
      await agent.until((members) => ours(members)?.status === 'left');
      signal.throwIfAborted();
    },
    { skip: withoutSerf(), timeoutMs },
  );

  test(
    'keys that an agent of Serf changes are those of a node that is started again',
    async () => {
      const options = [`-encrypt=${KEY}`, '-profile=local'];
      await using agent = await SerfAgent.start('serf1', '127.0.97.1', options);
      await using folder = await temporaryFolder();
      const keyring = path.join(folder.path, 'keyring.json');
      const join = [agent.address];
      await using nodes = await Nodes.start({ gossip: { ...gossip, join, keyring } });
      const alive = (members: Record<string, SerfView>): number =>
        Object.values(members).filter(({ status }) => status === 'alive').length;
      await nodes.math('math-1');
      await nodes.math('math-2');
      await agent.until((members) => alive(members) === 3);
      await rejects(access(keyring), Error);
      const fresh = randomBytes(32).toString('base64');
      for (const step of [`-install=${fresh}`, `-use=${fresh}`, `-remove=${KEY}`])
        await agent.ask('keys', step);
      assert.equal(JSON.parse(await readFile(keyring, 'utf8')), [fresh]);
      await nodes.stop('math-1');
      await agent.until((members) => alive(members) === 2);
      await nodes.math('math-1');
      await agent.until((members) => alive(members) === 3);
      await writeFile(keyring, '[]');
      const { running } = await viewOf(await nodes.math('math-3'));
      assert.not.ok(running, 'a keyring that is none');
    },
    { skip: withoutSerf(), timeoutMs },
  );
});
