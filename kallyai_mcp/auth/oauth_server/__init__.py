"""Hosted sign-in: any MCP client, each user with their own KallyAI account, and nothing stored.

    MCP client                      this room                                    KallyAI
    401, metadata, registration ──► a client_id that holds all we know of it
    /oauth/authorize ─────────────► our consent page ── allow ────────────────► sign-in, consent
    its redirect address ◄───────── /oauth/callback: our code, theirs sealed within ◄── code
    /oauth/token ─────────────────► their code ───────────────────────────────► their tokens
                 ◄───────────────── our tokens, theirs sealed within ◄────────

Downstream it is MCP's authorization specification (OAuth 2.1 with PKCE, RFC 7591, 7009, 8414, 8707, 9207, 9728 and
client-id metadata documents), upstream the reference's "OAuth2 Authorization Code Flow". `building.build` puts it
together. It needs the extra `hosted`, and is imported by `cli` only when it is served.
"""
