// Calls the route handler as Next.js would, without Next.js: PORT=8080 node serve.mjs

import { createServer } from "node:http";

import { GET } from "./route.js";

createServer(async (incoming, outgoing) => {
  if (new URL(incoming.url, "http://localhost").pathname !== "/whoami") return outgoing.writeHead(404).end();
  const headers = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]);
  const response = await GET(new Request(new URL(incoming.url, "http://localhost"), { headers }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
}).listen(Number(process.env.PORT), "127.0.0.1");
