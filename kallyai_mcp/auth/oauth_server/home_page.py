"""The page at the server's root URL: what the server is, how to connect an app, and how to disconnect apps."""

import base64
import json
from html import escape
from urllib.parse import quote, urlencode

from kallyai_mcp.auth.oauth_server.text import texts
from kallyai_mcp.languages import Language

_CLAUDE = "https://claude.ai/settings/connectors?modal=add-custom-connector"


def home_page(lang: Language, *, issuer: str, api_host: str) -> tuple[str, str]:
    """The heading of the page, and the HTML below it.

    Args:
        lang: The language.
        issuer: The server's base URL.
        api_host: KallyAI's host.
    """
    t, url = texts("home", lang), f"{issuer}/mcp"
    links = {"Claude": _CLAUDE, "Cursor": cursor_link(url), "VS Code": vs_code_link(url)}
    buttons = "".join(
        f'<a class="button" href="{escape(link)}" rel="noreferrer">{t["add"].format(client=client)}</a>'
        for client, link in links.items()
    )
    commands = {
        "Claude Code": f"claude mcp add --transport http kallyai {url}",
        "Codex": f"codex mcp add kallyai --url {url}",
    }
    rows = "".join(
        f'<dt>{t["command"].format(client=client)}</dt><dd class="copy"><code>{escape(command)}</code></dd>'
        for client, command in commands.items()
    )
    body = (
        f"<p>{t['what']}</p><h2>{t['connect']}</h2><p>{t['need'].format(host=escape(api_host))}</p>"
        f'<div class="well"><dl><dt>{t["address"]}</dt><dd class="copy"><code>{escape(url)}</code></dd></dl></div>'
        f'<p class="choices">{buttons}</p><p class="soft">{t["paste"]}</p>'
        f'<div class="well"><dl>{rows}</dl></div>'
        f"<h2>{t['connected']}</h2>"
        f'<p class="choices"><a class="button" href="/oauth/sign-out">{t["disconnect"]}</a></p>'
    )
    return t["heading"], body


def cursor_link(url: str) -> str:
    """The link that lets Cursor offer to add the server at `url` (Cursor's docs, "MCP Install Links")."""
    config = base64.b64encode(json.dumps({"url": url}).encode()).decode()
    return f"cursor://anysphere.cursor-deeplink/mcp/install?{urlencode({'name': 'kallyai', 'config': config})}"


def vs_code_link(url: str) -> str:
    """The link that lets VS Code offer to add the server at `url` (VS Code's docs, "MCP developer guide")."""
    config = quote(json.dumps({"type": "http", "url": url}, separators=(",", ":")), safe="")
    return f"https://vscode.dev/redirect/mcp/install?name=kallyai&config={config}"
