// Prints the command by which a host starts a server of an unpacked MCP bundle, by the code that Claude Desktop uses:
// node bundle_host.mjs FOLDER '{"setting": "what the person said"}'

import { readFileSync } from "node:fs";

import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";

const [folder, answers] = process.argv.slice(2);
const config = await getMcpConfigForManifest({
  manifest: JSON.parse(readFileSync(`${folder}/manifest.json`, "utf-8")),
  extensionPath: folder,
  systemDirs: {},
  userConfig: JSON.parse(answers),
  pathSeparator: "/",
});
console.log(JSON.stringify(config));
