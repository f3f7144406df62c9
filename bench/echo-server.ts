import { Server, ServerCredentials } from '@grpc/grpc-js';

import { ECHO_METHOD } from './echo.js';

// A bare grpc-js unary echo: the yardstick. Prints its port, ends with its standard input.
const server = new Server();
server.addService(
  { echo: ECHO_METHOD },
  {
    echo: (call: { request: Buffer }, callback: (error: null, response: Buffer) => void) => {
      callback(null, call.request);
    },
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
process.stdin.on('end', () => process.exit(0)).resume();
