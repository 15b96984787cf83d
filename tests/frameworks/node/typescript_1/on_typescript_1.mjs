// The TypeScript SDK 1.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

function transport(where) {
  if (where.endsWith("/mcp")) return new StreamableHTTPClientTransport(new URL(where));
  if (where.endsWith("/sse")) return new SSEClientTransport(new URL(where));
  const [command, ...args] = where.split(" ");
  return new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" });
}

/** For `drive.mjs`. */
export async function open(where, timeout) {
  const client = new Client({ name: "my-agent", version: "1.0.0" });
  await client.connect(transport(where));
  const use = async (name, args, options) => {
    const result = await client.callTool({ name, arguments: args }, undefined, { timeout, ...options });
    return JSON.stringify(result.structuredContent) + result.content[0].text;
  };
  const patient = (call) => use("make_call", call, { resetTimeoutOnProgress: true, onprogress: () => {} });
  return { names: (await client.listTools()).tools.map((tool) => tool.name), use, patient, close: () => client.close() };
}
