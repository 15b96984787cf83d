"""Which KallyAI a command asks, and commands to copy that ask the same one."""

import os
import shlex
import subprocess
from dataclasses import dataclass

from kallyai_mcp.settings import Settings


@dataclass(frozen=True)
class Service:
    """The KallyAI that a command asks.

    Attributes:
        is_simulated: Whether it is a sandbox, so that nobody is called.
        is_embedded: Whether that runs in this process, which --sandbox asks for.
        url: Its base URL; "" for the embedded sandbox.
    """

    is_simulated: bool = False
    is_embedded: bool = False
    url: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "Service":
        """The service of these settings."""
        url = "" if settings.sandbox else settings.api_url
        return cls(settings.calls_nobody, settings.sandbox, url)

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        return self.url or "the embedded sandbox, which calls nobody"

    def command(self, *words: str) -> str:
        """A command of this program that asks the same service, quoted for the user's shell."""
        flags = ("--sandbox",) if self.is_embedded else ()
        return in_shell("kallyai-mcp", *words, *flags)


def in_shell(*words: str) -> str:
    """A command as it is typed: with quotation marks where a shell needs them."""
    if os.name == "nt":
        return subprocess.list2cmdline(words)
    return shlex.join(words)
