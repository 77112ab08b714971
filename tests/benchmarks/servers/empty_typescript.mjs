// The same server as empty_sdk.py with the SDK for TypeScript; the argument is the folder of its packages.
import { pathToFileURL } from "node:url";

const packages = pathToFileURL(process.argv[2] + "/");
const sdk = new URL("@modelcontextprotocol/sdk/dist/esm/server/", packages);
const { McpServer } = await import(new URL("mcp.js", sdk));
const { StdioServerTransport } = await import(new URL("stdio.js", sdk));

const server = new McpServer({ name: "empty", version: "0" });
server.registerTool("nothing", {}, async () => ({ content: [] }));
await server.connect(new StdioServerTransport());
