// An OAuth authorization server for tests: oidc-provider, whose one user, alice, agrees to everything.
//
// Prints its URL, then does what each line on stdin says and prints "done": "rotate" signs with a new key, "opaque"
// and "jwt" choose the form of access tokens, "clock SECONDS" moves its clock. It ends when stdin does.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider, interactionPolicy } from "oidc-provider";

console.info = console.error; // its notices; stdout is for answers
const now = Date.now;
let form = "jwt";
let handler;

const server = createServer((request, response) => handler(request, response));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}`;
const confidential = {
  client_secret: "a-secret-of-a-test-that-is-long-enough",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
};

function start() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256" };
  const policy = interactionPolicy.base();
  policy.remove("consent");
  policy.add(new interactionPolicy.Prompt({ name: "consent", requestable: true }));
  const provider = new Provider(url, {
    clients: ["machine", "resource-server"].map((client_id) => ({ client_id, ...confidential })),
    jwks: { keys: [key] },
    cookies: { keys: ["for a test"] },
    scopes: ["openid", "offline_access", "read", "write"],
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { policy, url: (_, interaction) => `/sign-in/${interaction.uid}` },
    issueRefreshToken: () => true,
    async loadExistingGrant({ oidc }) {
      const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addResourceScope(oidc.params.resource, "read write");
      await grant.save();
      return grant;
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          audience: resource,
          scope: "read write",
          accessTokenFormat: form,
          accessTokenTTL: 600,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
  const callback = provider.callback();
  handler = (request, response) =>
    request.url.startsWith("/sign-in/")
      ? provider.interactionFinished(request, response, { login: { accountId: "alice" }, consent: {} })
      : callback(request, response);
}

start();
console.log(url);
for await (const line of createInterface({ input: process.stdin })) {
  const [word, value] = line.split(" ");
  if (word === "rotate") start();
  else if (word === "clock") Date.now = () => now() + Number(value) * 1000;
  else form = word;
  console.log("done");
}
process.exit(0);
