"""Which KallyAI a command asks, and commands to copy that ask the same one."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from kallyai_mcp.settings import Settings
from kallyai_mcp.urls import is_loopback


@dataclass(frozen=True)
class Service:
    """The KallyAI that a command asks.

    Attributes:
        is_simulated: Whether it is a sandbox, so that nobody is called.
        is_embedded: Whether that runs in this process, which --sandbox asks for.
    """

    is_simulated: bool = False
    is_embedded: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Service":
        """The service of these settings: one on this machine is a sandbox."""
        is_here = is_loopback(urlsplit(settings.api_url).hostname)
        return cls(settings.sandbox or is_here, settings.sandbox)

    def command(self, *words: str) -> str:
        """A command of this program that asks the same service."""
        flags = ("--sandbox",) if self.is_embedded else ()
        return " ".join(("kallyai-mcp", *words, *flags))
