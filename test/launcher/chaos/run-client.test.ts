import { status } from '@grpc/grpc-js';

import type { RunAsked } from '../../../launcher/chaos/chaos-calls.js';
import { RunClient } from '../../../launcher/chaos/run-client.js';
import type { RunHeard } from '../../../launcher/chaos/run-client.js';
import { RunEnded, RunState } from '../../../protos/gen/fractory/v1/application.js';
import { cancelled, FractoryError, unavailable } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { MemberList, someMember } from './some-members.js';

const SUCCEEDED = RunEnded.fromPartial({ state: RunState.SUCCEEDED, attempts: 1 });
const graph = { name: 'test', steps: [], edges: [] };
const never = new AbortController().signal;

type Answer = (signal: AbortSignal) => Promise<RunEnded>;

/** Answers in turn, and remembers who was asked for what. */
class Nodes {
  readonly asked: (readonly [address: string, run: string])[] = [];
  readonly #answers: Answer[];

  constructor(...answers: Answer[]) {
    this.#answers = answers;
  }

  run(
    address: string,
    { run }: RunAsked,
    _timeoutMs: number,
    signal: AbortSignal,
  ): Promise<RunEnded> {
    this.asked.push([address, run]);
    const answer = this.#answers.shift();
    return answer ? answer(signal) : Promise.resolve(SUCCEEDED);
  }
}

function ask(members: MemberList, nodes: Nodes, signal = never): Promise<RunHeard> {
  const todo = { id: 'run-1', graph, durable: true, budgetMs: 5000 };
  return new RunClient(members, nodes).run(todo, signal);
}

const broken: Answer = () => Promise.reject(unavailable('UNAVAILABLE', 'broken'));
/** Answers only when it is given up. */
const silent: Answer = (signal) =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(cancelled());
    });
  });

suite('a client that does not give up', (test) => {
  test('sends a run again with the same id when its stream breaks', async () => {
    const nodes = new Nodes(broken, broken);
    const heard = await ask(new MemberList(someMember('application-1', 7n)), nodes);
    assert.is(heard.ended?.state, RunState.SUCCEEDED);
    assert.is(heard.sends, 3);
    assert.equal(new Set(nodes.asked.map(([, run]) => run)), new Set(['run-1']));
  });

  test('leaves a node that says nothing when it is not registered any more', async () => {
    const members = new MemberList(
      someMember('application-1', 7n),
      someMember('application-2', 8n),
    );
    const nodes = new Nodes(silent);
    const heard = ask(members, nodes);
    members.become(someMember('application-2', 8n));
    assert.is((await heard).sends, 2);
    assert.equal(
      nodes.asked.map(([address]) => address),
      ['127.0.0.1:7', '127.0.0.1:8'],
    );
  });

  test('follows the address of the leader', async () => {
    const elsewhere: Answer = () =>
      Promise.reject(
        new FractoryError(status.FAILED_PRECONDITION, 'NOT_LEADER', 'not here', {
          metadata: { address: '127.0.0.1:99' },
        }),
      );
    const nodes = new Nodes(elsewhere);
    await ask(new MemberList(someMember('application-1', 7n)), nodes);
    assert.equal(
      nodes.asked.map(([address]) => address),
      ['127.0.0.1:7', '127.0.0.1:99'],
    );
  });

  test('a refusal for good is heard', async () => {
    const refusal = new FractoryError(status.INVALID_ARGUMENT, 'BAD_GRAPH', 'no');
    const nodes = new Nodes(() => Promise.reject(refusal));
    const heard = await ask(new MemberList(someMember('application-1', 7n)), nodes);
    assert.is(heard.refusal, refusal);
    assert.is(heard.sends, 1);
  });

  test('an interruption ends it', async () => {
    const stop = new AbortController();
    const heard = ask(
      new MemberList(someMember('application-1', 7n)),
      new Nodes(silent),
      stop.signal,
    );
    stop.abort(cancelled('stopped by SIGINT'));
    await rejects(heard, FractoryError, { reason: 'CANCELLED' });
  });
});
