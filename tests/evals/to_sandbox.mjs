// Keeps a Node program on the sandbox. It is loaded before the program:
//
//   NODE_OPTIONS="--import file:///…/to_sandbox.mjs" KALLYAI_API_URL=http://127.0.0.1:8787 node server.js
//
// Connections to the live KallyAI go to the sandbox, so a server with a fixed address can be measured as it is. All
// other connections are refused. This is done where Node opens a connection, so it does not matter how the program
// sends requests (fetch, http, https, a library).
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import tls from "node:tls";

const LIVE = "api.kallyai.com";
const { hostname, port } = new URL(process.env.KALLYAI_API_URL);
const sandbox = { host: hostname, port: Number(port) };

const connectSocket = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const [options, done] = parsed(args);
  const isSandbox = options.host === sandbox.host && Number(options.port) === sandbox.port;
  if (options.path || isSandbox) return connectSocket.call(this, options, done);
  if (options.host === LIVE) return connectSocket.call(this, { ...options, ...sandbox }, done);
  const message = `refused a connection to ${options.host ?? "localhost"}:${options.port}: only the sandbox may be used`;
  console.error(`tests.evals: ${message}`);
  process.nextTick(() => this.destroy(Object.assign(new Error(message), { code: "ECONNREFUSED" })));
  return this;
};

const connectWithTLS = tls.connect;
tls.connect = function (...args) {
  const [options, done] = parsed(args);
  if (options.host !== LIVE) return connectWithTLS(...args);
  // The sandbox speaks plain HTTP: a socket without TLS that says what clients ask one with TLS.
  const socket = Object.assign(new net.Socket(), { encrypted: true, authorized: true, alpnProtocol: false });
  socket.once("connect", () => socket.emit("secureConnect"));
  if (done) socket.once("secureConnect", done);
  return socket.connect(sandbox);
};

syncBuiltinESMExports();

// The forms of arguments: (options, done?), (port, host?, options?, done?), and [options, done], as Node itself gives.
function parsed(args) {
  if (Array.isArray(args[0])) return args[0];
  const done = args.findLast((each) => typeof each === "function");
  if (typeof args[0] === "object") return [args[0], done];
  if (Number.isNaN(Number(args[0]))) return [{ path: args[0] }, done];
  const host = typeof args[1] === "string" ? args[1] : undefined;
  return [{ ...args.find((each) => each && typeof each === "object"), port: args[0], host }, done];
}
