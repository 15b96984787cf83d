"""A token store in the keyring of the operating system."""

import json
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kallyai_mcp.auth.errors import TokenStoreError
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.urls import origin_of

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_log = logging.getLogger(__name__)

SERVICE = "kallyai-mcp"
WINDOWS_PART = 1000
"""The most characters of one entry on Windows, where a credential has at most 2,560 bytes (1,280 UTF-16 characters)."""

_MOST_PARTS = 64


class KeyringStore:
    """Stores the tokens for one API in the system's keyring, under the service `kallyai-mcp` and the API's origin.

    Each backend raises exceptions of its own libraries. Every exception, such as that of a locked keyring, becomes a
    `TokenStoreError` with the name of its class. Its message is left out, because it may have a token.

    Args:
        api_url: The URL of the API.
        part_size: The most characters of one entry: a longer text is split into several. None for no limit.
    """

    def __init__(
        self, api_url: str, *, part_size: int | None = WINDOWS_PART if sys.platform == "win32" else None
    ) -> None:
        self._origin = origin_of(api_url)
        self._part_size = part_size

    def recommended(self) -> bool:
        """Whether there is a keyring that is protected and that its library recommends, for the setting `auto`."""
        try:
            backend = self._backend()
            return bool(backend.priority >= 1)
        except Exception:  # noqa: BLE001 - see the class
            return False

    def load(self) -> Tokens | None:
        """The stored tokens; None if there are none, or if the entry is broken, which is logged and not changed."""
        text = self._get(self._origin)
        if text is None:
            return None
        try:
            document = json.loads(text)
            if isinstance(document, dict) and "parts" in document:
                document = json.loads(self._joined(document))
            return Tokens.from_document(document)
        except (ValueError, RecursionError) as error:
            # The JSON parser's error is not logged: it has the whole text, with the tokens.
            why = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            _log.warning("%s is broken (%s), so nobody is signed in; signing in replaces it", self.describe(), why)
            return None

    def save(self, tokens: Tokens) -> None:
        """Replace the stored tokens. If that fails, the keyring still has the old ones."""
        text = json.dumps(tokens.as_document())
        before = self._parts()
        if self._part_size is None or len(text) <= self._part_size:
            self._set(self._origin, text)
        else:
            # The parts have new names and are written first. So the old tokens are complete until the entry with the
            # names of the parts is written.
            name = secrets.token_hex(4)
            pieces = [text[at : at + self._part_size] for at in range(0, len(text), self._part_size)]
            for number, piece in enumerate(pieces):
                self._set(self._part(name, number), piece)
            self._set(self._origin, json.dumps({"parts": len(pieces), "name": name}))
        for part in before:
            self._remove(part)

    def delete(self) -> None:
        """Delete the tokens."""
        parts = self._parts()
        self._remove(self._origin)
        for part in parts:
            self._remove(part)

    def describe(self) -> str:
        """The name of the keyring's backend."""
        try:
            return f"the system keyring ({self._backend().name})"
        except Exception:  # noqa: BLE001 - see the class
            return "the system keyring (none is usable)"

    def _joined(self, header: dict[str, Any]) -> str:
        pieces = [self._get(part) for part in self._part_names(header)]
        if not pieces or None in pieces:
            raise ValueError("a part of it is missing")
        return "".join(piece for piece in pieces if piece is not None)

    def _parts(self) -> list[str]:
        try:
            header = json.loads(self._get(self._origin) or "null")
        except (ValueError, RecursionError):
            return []
        return self._part_names(header) if isinstance(header, dict) else []

    def _part_names(self, header: dict[str, Any]) -> list[str]:
        count, name = header.get("parts"), header.get("name")
        if not isinstance(count, int) or not isinstance(name, str) or not 0 < count <= _MOST_PARTS:
            return []
        return [self._part(name, number) for number in range(count)]

    def _part(self, name: str, number: int) -> str:
        return f"{self._origin}#{name}.{number}"

    def _backend(self) -> "KeyringBackend":
        # Imported late: it takes 100 ms, and a server's first answer does not need it.
        import keyring
        from keyring.backends import fail, null

        backend = keyring.get_keyring()
        if isinstance(backend, fail.Keyring | null.Keyring) or getattr(backend, "backends", None) == []:
            raise TokenStoreError(
                "This machine has no keyring that could keep the sign-in. Set KALLYAI_TOKEN_STORE to file, to keep it "
                "in a file that only you can read."
            )
        return backend

    def _get(self, name: str) -> str | None:
        with _store_errors("read"):
            found = self._backend().get_password(SERVICE, name)
        return found if found is None else str(found)  # a backend may break its contract

    def _set(self, name: str, text: str) -> None:
        with _store_errors("written"):
            self._backend().set_password(SERVICE, name, text)

    def _remove(self, name: str) -> None:
        if self._get(name) is None:
            return
        with _store_errors("removed"):
            self._backend().delete_password(SERVICE, name)


@contextmanager
def _store_errors(what: str) -> Iterator[None]:
    """A context that turns every exception into a `TokenStoreError`, which says that the sign-in can't be `what`."""
    try:
        yield
    except TokenStoreError:
        raise
    except Exception as error:  # noqa: BLE001 - see the class
        raise TokenStoreError(
            f"The sign-in can't be {what} in the system keyring ({type(error).__name__}). Unlock the keyring, or set "
            "KALLYAI_TOKEN_STORE to file, to keep the sign-in in a file that only you can read."
        ) from None
