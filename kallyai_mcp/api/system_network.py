"""The system's settings for the network: which certificates to accept, and which proxy to use."""

import importlib
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from kallyai_mcp.urls import is_loopback

_SCUTIL = "/usr/sbin/scutil"
"""The command that prints the proxies of macOS. Python's `getproxies` leaves out those that a PAC file sets."""

_INTERNET_SETTINGS = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"


def tls_context() -> ssl.SSLContext:
    """A TLS context with the certificates of SSL_CERT_FILE or SSL_CERT_DIR if one is set, else with the system's.

    A company that inspects traffic puts its own certificate into the system's store. On a Linux without certificates,
    such as a small container, those of certifi are used.

    Raises:
        OSError: SSL_CERT_FILE or SSL_CERT_DIR is not the path of anything that can be read.
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


def unsupported_proxy(platform: str = sys.platform) -> str | None:
    """The kind of the system's proxy, in words, if it can't be used: a SOCKS proxy, or a PAC file. Else None.

    Only Windows and macOS have a setting for a PAC file. `platform` is as `sys.platform`.
    """
    proxies = getproxies()
    if "socks" in proxies or any(proxy.startswith("socks") for proxy in proxies.values()):
        return "a SOCKS proxy"
    has_pac = {"win32": _windows_has_pac, "darwin": _macos_has_pac}.get(platform, lambda: False)()
    return "a proxy by a PAC file" if has_pac else None


def _windows_has_pac() -> bool:
    winreg: Any = importlib.import_module("winreg")
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _INTERNET_SETTINGS) as key:
            return bool(winreg.QueryValueEx(key, "AutoConfigURL")[0])
    except OSError:
        return False


def _macos_has_pac() -> bool:
    try:
        command = [_SCUTIL, "--proxy"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False)  # noqa: S603 - a constant
    except (OSError, subprocess.SubprocessError):
        return False
    return re.search(r"ProxyAuto(Config|Discovery)Enable : 1", done.stdout) is not None


def proxy_for(base_url: httpx.URL) -> str | None:
    """The URL of the proxy for `base_url`, from the environment or the system; None for a direct connection."""
    if is_loopback(base_url.host) or proxy_bypass(base_url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(base_url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
