import type { Server, Socket } from 'node:net';

import { endpointText } from '../../../gossip/net/address.js';
import { Sockets } from '../../../gossip/net/sockets.js';
import type { SocketEvents } from '../../../gossip/net/sockets.js';
import { assert, suite } from '../../suite.js';

const quiet: SocketEvents = {
  packet: () => undefined,
  connection: () => undefined,
  tooMany: () => undefined,
  unsent: () => undefined,
  unaccepted: () => undefined,
};

const open = (events: Partial<SocketEvents>): Promise<Sockets> =>
  Sockets.open('127.0.0.1', 0, { ...quiet, ...events });

suite('sockets of a member', (test) => {
  test('a packet that the system does not send is told of', async () => {
    let unsent: (error: Error) => void = () => undefined;
    const told = new Promise<Error>((resolve) => {
      unsent = resolve;
    });
    await using sockets = await open({
      unsent: (error) => {
        unsent(error);
      },
    });
    sockets.send(new Uint8Array(70_000), sockets.local);
    assert.match((await told).message, /EMSGSIZE/);
  });

  test('a connection that can not be taken ends nothing, and is told of', async () => {
    const problems: string[] = [];
    let taken: (socket: Socket) => void = () => undefined;
    const connected = new Promise<Socket>((resolve) => {
      taken = resolve;
    });
    await using sockets = await open({
      connection: (socket) => {
        taken(socket);
      },
      unaccepted: (error) => {
        problems.push(error.message);
      },
    });
    const dialled = await sockets.dial(sockets.local, 5000);
    const { server } = (await connected) as Socket & { readonly server: Server };
    // As the system would: it has no memory left, say.
    server.emit('error', new Error('accept ENOBUFS'));
    assert.equal(problems, ['accept ENOBUFS']);
    assert.match(endpointText(sockets.local), /^127\.0\.0\.1:/);
    dialled.destroy();
  });
});
