import { createSocket } from 'node:dgram';

// The other process of `mailbox.ts`: sends what it is told to, and tells what arrives.
const PORT = 5000;
const [, , address = ''] = process.argv;
const socket = createSocket('udp4');
socket.on('message', (content) => process.send?.(content.toString()));
socket.bind(PORT, address, () => process.send?.('open'));
process.on('message', ({ address, texts }: { address: string; texts: string[] }) => {
  const sent = texts.map(
    (text) =>
      new Promise<void>((resolve) => {
        socket.send(text, PORT, address, () => {
          resolve();
        });
      }),
  );
  void Promise.all(sent).then(() => process.send?.('sent'));
});
process.once('disconnect', () => process.exit(0));
