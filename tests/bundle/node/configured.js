// What a desktop app runs: the package's own reading of a manifest, with what the user has set.
// node configured.js FOLDER USER_CONFIG_AS_JSON: prints {command, args, env}.
import { readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";

const [folder, userConfig] = process.argv.slice(2);
const config = await getMcpConfigForManifest({
  manifest: JSON.parse(readFileSync(join(folder, "manifest.json"), "utf-8")),
  extensionPath: folder,
  systemDirs: {},
  userConfig: JSON.parse(userConfig),
  pathSeparator: sep,
});
process.stdout.write(JSON.stringify(config));
