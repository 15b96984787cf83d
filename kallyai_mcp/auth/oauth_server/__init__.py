"""The OAuth server: signs in the users of MCP clients, each with their own KallyAI account, and stores no token.

    MCP client                      OAuth server                                    KallyAI
    401, metadata, registration ──► a client_id with the client's metadata inside
    /oauth/authorize ─────────────► our consent page ── allow ────────────────────► sign-in, consent
    its redirect URI ◄───────────── /oauth/callback: our code, KallyAI's inside ◄── code
    /oauth/token ─────────────────► KallyAI's code ───────────────────────────────► KallyAI's tokens
                 ◄───────────────── our tokens, KallyAI's inside ◄─────────────────

For MCP clients it is an authorization server of MCP's authorization specification: OAuth 2.1 with PKCE, RFC 7591, 7009,
8414, 8707, 9207, 9728, and client-id metadata documents. For KallyAI it is a client of the reference's "OAuth2
Authorization Code Flow". `factory.build` makes it. It needs the extra `hosted`, and only `cli` imports it.

The SDK (mcp 2.3.0) also has an authorization server (`mcp.server.auth.routes`). We use its metadata models and its
token type, but not its endpoints: `endpoints`, `browser_routes`, and `client_registry` say why.
"""
