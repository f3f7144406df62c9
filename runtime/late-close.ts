import type { Http2Session } from 'node:http2';

/**
 * Makes a session close between what it reads, not in the middle of it. Node.js closes a session when the peer says goodbye (GOAWAY) and destroys it at once where no
 * call is under way; version 20 then writes into freed memory as it reads the calls that came behind, and the process ends.
 */
export function closeBetweenFrames(session: Http2Session): void {
  const close = session.close.bind(session);
  session.close = (callback) => {
    if (session.closed || session.destroyed) return;
    if (callback) session.once('close', callback);
    setImmediate(close);
  };
}
