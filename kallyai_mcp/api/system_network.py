"""What the system says about the network: which certificates to accept, and which proxy to use."""

import os
import ssl
import sys
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpx

from kallyai_mcp.urls import is_loopback

_INTERNET_SETTINGS = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"


def tls_context() -> ssl.SSLContext:
    """What certificates are accepted: those of SSL_CERT_FILE or SSL_CERT_DIR if one is set, else the system's.

    A company that inspects traffic puts its own certificate into the system's store. A Linux without any certificates,
    as in a small container, gets those of certifi.

    Raises:
        OSError: SSL_CERT_FILE or SSL_CERT_DIR names nothing that can be read.
    """
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or not _system_has_certificates():
        return httpx.create_ssl_context()
    import truststore  # imported late: http on this machine needs none

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _system_has_certificates(platform: str = sys.platform) -> bool:
    if platform in ("win32", "darwin"):
        return True
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or bool(paths.capath and any(Path(paths.capath).iterdir()))


def unsupported_proxy() -> str | None:
    """What kind of proxy this machine names that can't be used: SOCKS, or PAC on Windows; None if there is none."""
    proxies = getproxies()
    if "socks" in proxies or any(proxy.startswith("socks") for proxy in proxies.values()):
        return "a SOCKS proxy"
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _INTERNET_SETTINGS) as key:
                winreg.QueryValueEx(key, "AutoConfigURL")
        except OSError:
            return None
        return "a proxy by a PAC file"
    return None


def proxy_for(base_url: httpx.URL) -> str | None:
    """The URL of the proxy that the environment or the system names for `base_url`; None for a direct connection."""
    if is_loopback(base_url.host) or proxy_bypass(base_url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(base_url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
