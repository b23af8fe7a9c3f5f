// A proxy between a server and its store that counts what passes.

import http from 'node:http';
import net from 'node:net';

/** Counts HTTP requests that `counts` is true for. */
export async function httpProxy(port, counts) {
  let calls = 0;
  const agent = new http.Agent({ keepAlive: true });
  const proxy = http.createServer((request, response) => {
    if (counts(request)) calls += 1;
    const { method, url: path, headers } = request;
    const onward = http.request({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  // Connections of the other side must not find this one closed.
  proxy.keepAliveTimeout = 120_000;
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: proxy.address().port,
    calls: () => calls,
    stop() {
      agent.destroy();
      proxy.closeAllConnections();
      return new Promise((resolve) => proxy.close(resolve));
    },
  };
}

/** Counts pieces of data on their way to the store. */
export async function tcpProxy(port) {
  let calls = 0;
  const sockets = new Set();
  const proxy = net.createServer((client) => {
    const onward = net.connect(port, '127.0.0.1');
    client.on('data', () => (calls += 1));
    client.pipe(onward).pipe(client);
    for (const [one, other] of [
      [client, onward],
      [onward, client],
    ]) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: proxy.address().port,
    calls: () => calls,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => proxy.close(resolve));
    },
  };
}
