// An OpenID provider for the end-to-end tests: `node provider.mjs CERTIFICATE KEY`, both in PEM, serves it by https on a free port of 127.0.0.1.
//
// It says `{"issuer": …}` on standard output once it serves, answers each line on standard input with one line, and ends where standard input ends:
//   rotate       signs with new keys from now on and publishes those alone; `{"kids": […]}`
//   connections  how many connections it has taken; `{"connections": …}`
//
// A client named in CLIENTS gets JWT access tokens (RFC 9068) about itself for any resource (RFC 8707) by its credentials. In `scope` it names the
// algorithm that signs, RS256 unless told otherwise, and `expired` for a token that has ended.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const CLIENTS = ['entra', 'somebody-else'];
const ALGORITHMS = ['RS256', 'PS256', 'ES256'];
const LIFE_S = 300;
// Longer ago than any difference between clocks that is made allowance for.
const EXPIRED_FOR_S = 120;

const [certificate, key] = process.argv.slice(2);
const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
const say = (value) => console.log(JSON.stringify(value));

// One key for each kind of algorithm.
function newKeys() {
  const pairs = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ec', { namedCurve: 'P-256' })];
  return pairs.map(({ privateKey }) => ({ ...privateKey.export({ format: 'jwk' }), use: 'sig', kid: randomUUID() }));
}

function newProvider(issuer, keys) {
  return new Provider(issuer, {
    jwks: { keys },
    clients: CLIENTS.map((id) => ({
      client_id: id,
      client_secret: `the secret of ${id}`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    scopes: ['openid', 'expired', ...ALGORITHMS],
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          audience: resource,
          scope: ['expired', ...ALGORITHMS].join(' '),
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: ALGORITHMS.find((name) => asks(ctx, name)) ?? 'RS256' } },
        }),
      },
    },
    ttl: { ClientCredentials: LIFE_S },
    formats: {
      customizers: {
        jwt: (ctx, token, { payload }) => {
          if (asks(ctx, 'expired')) {
            payload.iat -= LIFE_S + EXPIRED_FOR_S;
            payload.exp -= LIFE_S + EXPIRED_FOR_S;
          }
        },
      },
    },
  });
}

const asks = (ctx, name) => (ctx.oidc.params.scope ?? '').split(' ').includes(name);

let connections = 0;
server.on('connection', () => { connections += 1; });

server.listen(0, '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  let answer;
  const rotate = () => {
    const keys = newKeys();
    answer = newProvider(issuer, keys).callback();
    return keys.map(({ kid }) => kid);
  };
  rotate();
  server.on('request', (request, response) => answer(request, response));
  createInterface({ input: process.stdin })
    .on('line', (command) => {
      switch (command) {
        case 'rotate': return say({ kids: rotate() });
        case 'connections': return say({ connections });
        default: return say({ error: 'no such command' });
      }
    })
    .on('close', () => process.exit());
  say({ issuer });
});
