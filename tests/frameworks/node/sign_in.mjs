// A client with the TypeScript SDK, for sign_in.py: each line of stdin is a call, each of stdout its answer.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const [sdk, url] = process.argv.slice(2);
const modules =
  sdk === "typescript"
    ? ["@modelcontextprotocol/client"]
    : ["client/index.js", "client/streamableHttp.js", "client/auth.js"].map((path) => `@modelcontextprotocol/sdk/${path}`);
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = Object.assign(
  {},
  ...(await Promise.all(modules.map((module) => import(module)))),
);

const codes = [];
const listener = createServer((request, response) => {
  const { searchParams } = new URL(request.url, "http://localhost");
  if (searchParams.has("code")) codes.push(searchParams);
  response.end("The client has it.");
  listener.emit("code");
}).listen(0, "127.0.0.1");
await once(listener, "listening");
const redirectUrl = `http://127.0.0.1:${listener.address().port}/callback`;

const kept = {};
const authProvider = {
  redirectUrl,
  clientMetadata: { client_name: "TypeScript client", redirect_uris: [redirectUrl], token_endpoint_auth_method: "none" },
  state: () => "state-of-the-client",
  clientInformation: () => kept.client,
  saveClientInformation: (client) => (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => (kept.verifier = verifier),
  redirectToAuthorization: (to) => void spawn("xdg-open", [to.href]),
  invalidateCredentials: (what) => {
    if (what !== "verifier") delete kept.tokens;
  },
  discoveryState: () => kept.discovery,
  saveDiscoveryState: (state) => (kept.discovery = state),
};

async function connected() {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
  const client = new Client({ name: "sign-in", version: "1.0.0" });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    while (!codes.length) await once(listener, "code");
    const answer = codes.shift();
    await transport.finishAuth(sdk === "typescript" ? answer : answer.get("code"));
    return connected();
  }
}

async function call() {
  const client = await connected();
  const { content } = await client.callTool({ name: "check_quota", arguments: {} });
  await client.close();
  return content[0].text;
}

for await (const _ of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await call().catch((error) => `${error.name}: ${error.message}`)));
}
process.exit(0);
