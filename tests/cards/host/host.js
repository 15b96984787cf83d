// A host page of MCP Apps: the extension's own host library, a sandbox proxy on another origin, and a record of what
// the card asks for. Tools are called by `window.callTool`, and resources are read by `window.readResource`, which the test provides.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

const ALL = { serverTools: {}, serverResources: {}, openLinks: {}, downloadFile: {}, message: { text: {} }, updateModelContext: { text: {} } };


window.show = async ({ html, sandbox, context = {}, capabilities = ALL, refuses = [], frame = undefined }) => {
  window.seen = { downloads: [], links: [], messages: [], contexts: [], heights: [] };
  const bridge = new AppBridge(null, { name: "Test host", version: "1.0.0" }, capabilities, { hostContext: context });
  const answer = (kind, record) => async (params) => {
    if (refuses.includes(kind)) throw new Error("refused by the user");
    return record(params) ?? {};
  };
  const keep = (name) => (params) => void window.seen[name].push(params);
  if (capabilities.serverTools) {
    bridge.oncalltool = answer("tools", ({ name, arguments: args }) => window.callTool(name, args ?? {}));
  }
  bridge.onreadresource = ({ uri }) => window.readResource(uri);
  bridge.ondownloadfile = answer("downloads", keep("downloads"));
  bridge.onopenlink = answer("links", keep("links"));
  bridge.onmessage = answer("messages", keep("messages"));
  bridge.onupdatemodelcontext = answer("contexts", keep("contexts"));
  bridge.onrequestdisplaymode = async ({ mode }) => {
    bridge.setHostContext({ ...context, displayMode: mode });
    return { mode };
  };

  const outer = document.createElement("iframe");
  outer.title = "The card";
  outer.setAttribute("sandbox", "allow-scripts allow-same-origin");
  document.querySelector("main").append(outer);
  bridge.onsizechange = ({ height }) => {
    window.seen.heights.push(height);
    outer.style.height = `${height}px`;
  };
  const ready = new Promise((resolve) => (bridge.onsandboxready = resolve));
  const initialized = new Promise((resolve) => (bridge.oninitialized = resolve));
  await bridge.connect(new PostMessageTransport(outer.contentWindow, outer.contentWindow));
  outer.src = sandbox;
  await ready;
  await bridge.sendSandboxResourceReady({ html, sandbox: frame });
  await initialized;
  window.bridge = bridge;
};

window.clear = async () => {
  await window.bridge?.close();
  document.querySelector("iframe")?.remove();
};
