import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport as StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";

export async function kallyai(where) {
  const [command, ...args] = where.split(" ");
  const url = where.startsWith("http") && { type: where.endsWith("/sse") ? "sse" : "http", url: where };
  return createMCPClient({ transport: url || new StdioMCPTransport({ command, args }) });
}

// Then: generateText({ model, prompt, tools: await (await kallyai("…")).tools(), stopWhen: isStepCount(20) })
// There is no time-out for a tool call; `timeout` or `abortSignal` of generateText ends everything.

/** For `drive.mjs`. */
export async function open(where, timeout) {
  const client = await kallyai(where);
  const tools = await client.tools();
  const use = async (name, args) => {
    const options = { toolCallId: "1", messages: [], abortSignal: AbortSignal.timeout(timeout) };
    const result = await tools[name].execute(args, options);
    return JSON.stringify(result);
  };
  return { names: Object.keys(tools), use, close: () => client.close() };
}
