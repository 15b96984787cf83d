import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const TIMEOUT = 60_000; // milliseconds for one request, which is the default

export async function kallyai(where) {
  const client = new Client({ name: "my-agent", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  const [command, ...args] = where.split(" ");
  if (where.endsWith("/mcp")) await client.connect(new StreamableHTTPClientTransport(new URL(where)));
  else if (where.endsWith("/sse")) await client.connect(new SSEClientTransport(new URL(where)));
  else await client.connect(new StdioClientTransport({ command, args }));
  return client;
}

export async function placeCall(client, call, timeout = TIMEOUT) {
  let [name, args] = ["make_call", call];
  for (;;) {
    // With each message of progress the time-out begins anew, so the call may last longer.
    const options = { timeout, resetTimeoutOnProgress: true, onprogress: ({ message }) => console.error(message) };
    const { structuredContent: outcome } = await client.callTool({ name, arguments: args }, options);
    if (outcome.status !== "in_progress") return outcome;
    [name, args] = ["get_call", { call_id: outcome.tracking_id, wait_seconds: 45 }];
  }
}

/** For `drive.mjs`. */
export async function open(where, timeout) {
  const client = await kallyai(where);
  const use = async (name, args, options) => {
    const { structuredContent, content } = await client.callTool({ name, arguments: args }, { timeout, ...options });
    return JSON.stringify(structuredContent) + content[0].text;
  };
  const patient = (call) => placeCall(client, call, timeout).then((outcome) => JSON.stringify(outcome));
  return { names: (await client.listTools()).tools.map((tool) => tool.name), use, patient, close: () => client.close() };
}
