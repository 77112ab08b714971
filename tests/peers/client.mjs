// A client on the TypeScript SDK, version 1 or 2: connects as its argument says, takes the steps in order, and prints
// what came of them, all as JSON.

const { sdk, mode, url, command, steps } = JSON.parse(process.argv[2]);

const v1 = "@modelcontextprotocol/sdk/client";
const [{ Client }, { StdioClientTransport }, { StreamableHTTPClientTransport }, { SSEClientTransport }] =
  await Promise.all(
    sdk === 1
      ? ["index", "stdio", "streamableHttp", "sse"].map((name) => import(`${v1}/${name}.js`))
      : ["", "/stdio", "", ""].map((name) => import(`@modelcontextprotocol/client${name}`)),
  );
const types = sdk === 1 ? await import("@modelcontextprotocol/sdk/types.js") : null;

function transport() {
  if (command) return new StdioClientTransport({ command: command[0], args: command.slice(1), stderr: "ignore" });
  return url.endsWith("/sse") ? new SSEClientTransport(new URL(url)) : new StreamableHTTPClientTransport(new URL(url));
}

const client = new Client(
  { name: "typescript", version: "1" },
  { capabilities: { elicitation: {} }, ...(mode ? { versionNegotiation: { mode } } : {}) },
);
const questions = [];
let updated = null; // resolves the wait for a notification
client.setRequestHandler(types ? types.ElicitRequestSchema : "elicitation/create", (request) => {
  questions.push(request.params.message);
  return { action: "accept", content: { confirm: true } };
});
client.setNotificationHandler(
  types ? types.ResourceUpdatedNotificationSchema : "notifications/resources/updated",
  (notification) => updated?.(notification.params.uri),
);

const call = (name, args, options) =>
  client.callTool({ name, arguments: args }, ...(sdk === 1 ? [undefined, options] : [options]));

const take = {
  list: async () => (await client.listTools()).tools.map((tool) => tool.name),
  read: async ({ uri }) => (await client.readResource({ uri })).contents,
  call: async ({ name, args }) => {
    const asked = questions.length;
    const result = await call(name, args);
    return { ...result, questions: questions.slice(asked) };
  },
  // Cancels the call when it has been told of progress three times; version 1 forgets what comes with the result.
  progress: async ({ name }) => {
    const told = [];
    const cancelling = new AbortController();
    const onprogress = ({ progress }) => told.push(progress) === 3 && cancelling.abort();
    await call(name, {}, { onprogress, signal: cancelling.signal }).catch(() => null);
    return { told, cancelled: cancelling.signal.aborted };
  },
  // Changes what it watches until it is told of it: the server may begin to watch after it has said yes.
  watch: async ({ uri, change }) => {
    const told = new Promise((resolve) => (updated = resolve));
    if (client.getNegotiatedProtocolVersion?.() === "2026-07-28") await client.listen({ resourceSubscriptions: [uri] });
    else await client.subscribeResource({ uri });
    let changes = 0;
    const changing = setInterval(() => call(change.name, { ...change.args, content: `change ${++changes}` }), 100);
    const changed = await told;
    clearInterval(changing);
    return changed;
  },
};

await client.connect(transport());
const outcomes = [];
for (const { take: step, ...options } of steps) outcomes.push(await take[step](options));
console.log(JSON.stringify(outcomes));
await client.close();
process.exit(0); // the end of a stream that a server has not closed would be waited for
