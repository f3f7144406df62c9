import { connect } from 'node:net';

/** What a server says that it is; `none`: it doesn't serve (yet). */
export type ServerMode = 'leader' | 'follower' | 'standalone' | 'none';

/** What an answer to ZooKeeper's four-letter word `srvr` says. */
export function parseMode(answer: string): ServerMode {
  const mode = /^Mode: (leader|follower|standalone)$/m.exec(answer)?.[1];
  return (mode as Exclude<ServerMode, 'none'> | undefined) ?? 'none';
}

/** Asks a server what it is. Never rejects: a server that doesn't answer within `timeoutMs` is `none`. */
export function askMode(host: string, port: number, timeoutMs: number): Promise<ServerMode> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host, port });
    socket.setTimeout(timeoutMs, () => {
      socket.destroy();
    });
    socket.on('connect', () => {
      socket.write('srvr');
    });
    socket.on('data', (data) => {
      answer += data.toString();
    });
    socket.on('error', () => {
      socket.destroy();
    });
    socket.on('close', () => {
      resolve(parseMode(answer));
    });
  });
}
