// The same server as http_sdk.py with the SDK for TypeScript; the argument is the folder of its packages.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const packages = pathToFileURL(process.argv[2] + "/");
const sdk = new URL("@modelcontextprotocol/sdk/dist/esm/server/", packages);
const { McpServer } = await import(new URL("mcp.js", sdk));
const { StreamableHTTPServerTransport } = await import(new URL("streamableHttp.js", sdk));
const { z } = await import(new URL("zod/index.js", packages));

function build() {
  const server = new McpServer({ name: "empty", version: "0" });
  server.registerTool("nothing", {}, async () => ({ content: [] }));
  server.registerTool("read_text_file", { inputSchema: { path: z.string() } }, async ({ path }) => ({
    content: [{ type: "text", text: await readFile(path, "utf-8") }],
  }));
  return server;
}

const http = createServer(async (request, response) => {
  const server = build(); // without sessions, the SDK takes one for each request
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  response.on("close", () => server.close());
  await server.connect(transport);
  await transport.handleRequest(request, response);
});
http.listen(0, "127.0.0.1", () => console.error(`serves at http://127.0.0.1:${http.address().port}/mcp;`));
