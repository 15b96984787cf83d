// A small MCP server whose address of KallyAI is fixed, as in KallyAI's own server. Its tools send requests in different
// ways; each answers with what came of it.
import http from "node:http";
import https, { get } from "node:https";
import net from "node:net";
import { createInterface } from "node:readline";

const LIVE = "https://api.kallyai.com/v1";
const headers = { Authorization: `Bearer ${process.env.KALLYAI_ACCESS_TOKEN}`, "Content-Type": "application/json" };

const tools = {
  fetch: async (body) => (await fetch(`${LIVE}/calls`, { method: "POST", headers, body })).text(),
  https: (body) => response(https.request(`${LIVE}/calls`, { method: "POST", headers }), body),
  https_import: () => response(get({ host: "api.kallyai.com", path: "/v1/users/me/subscription", headers })),
  https_agent: () => response(https.request(`${LIVE}/calls`, { headers, agent: new https.Agent({ keepAlive: true }) })),
  other_https: () => response(https.request("https://example.com/")),
  other_http: () => response(http.request("http://127.0.0.1:9/")),
  other_fetch: async () => (await fetch("https://example.com/")).text(),
  other_socket: () => new Promise((_, reject) => net.connect(443, "example.com").on("error", reject)),
};

function response(request, body) {
  return new Promise((resolve, reject) => {
    request.on("error", reject).on("response", async (message) => resolve(Buffer.concat(await message.toArray()).toString()));
    request.end(body);
  });
}

const methods = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "fixed-address", version: "1" },
  }),
  "tools/list": () => ({ tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: "object" } })) }),
  "tools/call": async ({ name, arguments: body }) => {
    const text = await tools[name](JSON.stringify(body)).catch((error) => `${(error.cause ?? error).message}`);
    return { content: [{ type: "text", text }] };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const result = await methods[method]?.(params);
  const answer = result ? { result } : { error: { code: -32601, message: `no method ${method}` } };
  console.log(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
}
