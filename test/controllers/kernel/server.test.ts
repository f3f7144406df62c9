import { NodeServer } from '../../../controllers/kernel/server.js';
import { Security } from '../../../controllers/kernel/security.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';

const HOST = '127.0.0.1';

/** A server without services, in a port that it chooses or is given. */
async function started(
  port: number,
  preferredPort?: number,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = new NodeServer(process.cwd());
  const security = new Security({ mode: 'open' }, 'secret');
  const bound = await server.start(HOST, port, security, preferredPort);
  return { port: bound, [Symbol.asyncDispose]: () => server.stop(0) };
}

suite('server of a node', (test) => {
  test('takes the port that it prefers, and any other where somebody has that', async () => {
    const before = await started(0);
    await before[Symbol.asyncDispose]();
    await using again = await started(0, before.port);
    assert.is(again.port, before.port);
    await using other = await started(0, before.port);
    assert.is.not(other.port, before.port);
    assert.ok(other.port > 0);
  });

  test('takes no other port than the one that it must have', async () => {
    await using first = await started(0);
    const refused = started(first.port, first.port + 1);
    const { message } = await rejects(refused, FractoryError, { reason: 'CANNOT_BIND' });
    assert.match(message, /^cannot listen on \S+: another program has it; choose another grpc_ip/);
  });
});
