// A server with made-up answers (answers.ts): as a plug-in of Vite's while one works on the pages,
// and by itself for their test, where it serves a build under the headers of the real one. The
// token is "good"; a test can hold what it answers back.

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join, normalize } from "node:path";
import type { Plugin } from "vite";
import { answer, counts, iso, makeWorld } from "./answers.ts";

const kHeaders = {
  "Content-Security-Policy":
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "object-src 'none'; require-trusted-types-for 'script'",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
};
const kTypes: Record<string, string> = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };

export function makeMock() {
  const world = makeWorld();
  const streams = new Set<ServerResponse>();
  const state = { old: false };

  async function api(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url!, "http://localhost");
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { ...kHeaders, "Content-Type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (state.old) return send(404, { error: { code: "NotFound", message: "nothing here", field: null } });
    if (request.headers.authorization !== "Bearer good") {
      return send(401, { error: { code: "Unauthorized", message: "send a token", field: null } });
    }
    if (url.pathname === "/v1/stream") {
      response.writeHead(200, { ...kHeaders, "Content-Type": "text/event-stream" });
      streams.add(response);
      const tell = (event: string, data: unknown) =>
        response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      tell("hello", { version: "0.3.0", site: "east-1", time: iso() });
      const timer = setInterval(() => {
        const rule = world.rules[0]!;
        rule.targets[0]!.applied += 83;
        tell("rules", { rules: [rule], counts: counts(world) });
        tell("heartbeat", { time: iso() });
      }, 2000);
      response.on("close", () => {
        clearInterval(timer);
        streams.delete(response);
      });
      return;
    }
    let body = "";
    for await (const piece of request) body += piece;
    const told = answer(world, request.method!, url.pathname, url.searchParams, body ? JSON.parse(body) : {});
    send(told.status, told.body);
  }
  // To all streams, as the server does when something has changed.
  const tell = (event: string, data: unknown) => {
    for (const stream of streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  return { world, state, streams, api, tell };
}

export function mockApi(): Plugin {
  const mock = makeMock();
  return {
    name: "longhaul-mock",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        if (request.url?.startsWith("/v1/")) void mock.api(request, response);
        else next();
      });
    },
  };
}

// Serves `dist`; port 0: a free one.
export async function serve(dist: string, port = 0) {
  const mock = makeMock();
  const server = createServer((request, response) => {
    const path = new URL(request.url!, "http://localhost").pathname;
    if (path.startsWith("/v1/")) return void mock.api(request, response);
    try {
      const file = path === "/" ? "/index.html" : normalize(path);
      const data = readFileSync(join(dist, file));
      response.writeHead(200, { ...kHeaders, "Content-Type": kTypes[file.split(".").pop()!]! });
      response.end(data);
    } catch {
      response.writeHead(404, kHeaders).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address() as { port: number };
  return {
    ...mock,
    url: `http://127.0.0.1:${address.port}/`,
    port: address.port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
