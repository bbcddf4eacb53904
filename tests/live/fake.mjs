// A stand-in for qualm: serves the page's files as the service does, and the data of data.mjs.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join, normalize } from "node:path";
import { live, oneSeries } from "./data.mjs";

const PAGE = fileURLToPath(new URL("../../http/src/live/", import.meta.url));
// Not at the root, as behind a reverse proxy.
export const BASE = "/ops/qualm/";
export const TOKEN = "opensesame";

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const TYPES = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/// Starts the stand-in. Its `kind` may be set while it runs: busy, quiet, many, hostile, warming, nothing; so may `mode`:
/// ok, token (401 without it), broken (503), nonsense (no JSON).
export async function fake(kind = "busy") {
  const started = Date.now();
  const self = { kind, mode: "ok", asked: [] };
  const sockets = new Set();

  async function answer(request, response) {
    const { pathname } = new URL(request.url, "http://fake");
    self.asked.push(pathname);
    const send = (status, type, body, more = {}) =>
      response
        .writeHead(status, {
          "content-type": type,
          "cache-control": "no-store",
          "x-content-type-options": "nosniff",
          ...more,
        })
        .end(body);
    const json = (body) => send(200, "application/json", JSON.stringify(body));
    if (!pathname.startsWith(BASE)) return send(404, "text/plain", "not here");
    const path = pathname.slice(BASE.length);
    if (path === "" || path.startsWith("live/")) {
      const file = path === "" ? "page.html" : normalize(path.slice(5));
      if (file.startsWith("..")) return send(404, "text/plain", "not here");
      return send(200, TYPES[file.split(".").at(-1)], await readFile(join(PAGE, file)), {
        "content-security-policy": CSP,
      });
    }
    if (self.mode === "broken") return send(503, "text/plain", "draining");
    if (self.mode === "nonsense") return send(200, "application/json", "<html>a proxy's word");
    if (self.mode === "token" && request.headers.authorization !== `Bearer ${TOKEN}`)
      return send(401, "application/json", "{}", { "www-authenticate": "Bearer" });
    if (path === "api/v1/live") return json(live(self.kind, started, Date.now()));
    const found = path.startsWith("api/v1/live/series/")
      ? oneSeries(self.kind, decodeURIComponent(path.slice(19)), Date.now())
      : null;
    return found ? json(found) : send(404, "application/json", "{}");
  }

  const listen = (port) =>
    new Promise((done, failed) => {
      const server = createServer((request, response) =>
        answer(request, response).catch(() => response.writeHead(404).end()),
      );
      server.on("connection", (socket) => {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
      });
      server.on("error", failed).listen(port, "127.0.0.1", () => done(server));
    });
  let server = await listen(0);
  const { port } = server.address();
  self.url = `http://127.0.0.1:${port}${BASE}`;
  /// As after a kill: connections break, the port is closed.
  self.stop = () =>
    new Promise((done) => {
      server.close(done);
      for (const socket of sockets) socket.destroy();
    });
  self.start = async () => {
    server = await listen(port);
  };
  return self;
}

// By itself it serves the page, to look at: node tests/live/fake.mjs [KIND]
if (process.argv[1] === fileURLToPath(import.meta.url)) console.log((await fake(process.argv[2])).url);
