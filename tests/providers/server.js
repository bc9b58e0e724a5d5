// An identity provider to test with: node server.js '{"port": 0, "clients": [...], "accounts": {...}}'
// Prints {"issuer": ...} once it listens. Whoever names an account is signed in as it, without a password.
//
//   /login/<uid>?as=NAME   answers what the provider asks: who it is, and that the client may know; ?refuse says no
//   /rotate                signs with a new key from now on
//   /forge                 POST {header, claims, key?}: a token signed with the provider's own key, or with another

import { createServer } from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

// Found beside this file, or in the folder that HEADGATE_OIDC_PROVIDER names.
const root = process.env.HEADGATE_OIDC_PROVIDER || dirname(process.argv[1]);
const from = (name) => import(pathToFileURL(join(root, "node_modules", name)).href);
const { default: Provider } = await from("oidc-provider/lib/index.js");
const { SignJWT, importJWK } = await from("jose/dist/webapi/index.js");

const options = JSON.parse(process.argv[2]);
const newKey = () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256" };
};

let keys = [newKey()];
let issuer;
let provider;

function makeProvider() {
  provider = new Provider(issuer, {
    clients: options.clients.map((client) => ({
      grant_types: ["authorization_code"],
      response_types: ["code"],
      redirect_uris: client.redirect_uris,
      ...client,
    })),
    jwks: { keys },
    claims: { openid: ["sub"], profile: ["preferred_username", "groups", "realm_access"], email: ["email", "email_verified"] },
    conformIdTokenClaims: options.conform ?? false,
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    interactions: { url: (_context, interaction) => `/login/${interaction.uid}` },
    cookies: { keys: ["only for tests"] },
    // Its own dispatcher calls nothing on this machine, where the tests are.
    fetch: (url, { dispatcher, ...init }) => fetch(url, init),
    async findAccount(_context, id) {
      const claims = options.accounts[id];
      return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
    },
  });
  provider.on("server_error", (_context, error) => console.error(error));
  provider.on("backchannel.error", (_context, error) => console.error(error));
}

async function answerLogin(request, response, url) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (url.searchParams.has("refuse")) {
    return provider.interactionFinished(request, response, { error: "access_denied", error_description: "not today" });
  }
  if (prompt.name === "login" && !url.searchParams.has("as")) {
    const links = Object.keys(options.accounts).map((id) => `<p><a id="${id}" href="?as=${id}">${id}</a>`);
    response.setHeader("content-type", "text/html");
    return response.end(`<title>Who are you?</title>${links.join("")}`);
  }
  if (prompt.name === "login") {
    return provider.interactionFinished(request, response, { login: { accountId: url.searchParams.get("as") } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

async function forge(request, response) {
  let body = "";
  for await (const piece of request) body += piece;
  const { header, claims, isForeign } = JSON.parse(body);
  const key = isForeign ? newKey() : keys[0];
  const head = { alg: "RS256", kid: key.kid, ...header };
  const token = await new SignJWT(claims).setProtectedHeader(head).sign(await importJWK(key, "RS256"));
  response.end(token);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  try {
    if (url.pathname.startsWith("/login/")) await answerLogin(request, response, url);
    else if (url.pathname === "/forge") await forge(request, response);
    else if (url.pathname === "/rotate") {
      keys = [newKey()];
      makeProvider();
      response.end();
    } else await provider.callback()(request, response);
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
    response.end(String(error));
  }
});

server.listen(options.port ?? 0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  makeProvider();
  console.log(JSON.stringify({ issuer }));
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0)); // goes with whoever started it
