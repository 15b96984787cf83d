"""A token store in a file that only its owner can read."""

import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.urls import origin_of

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_POSIX = os.name == "posix"
_TRIES, _PAUSE = 20, 0.025


class TokenStoreError(KallyAIError):
    """The tokens can't be read from the token store, written to it, or deleted from it. The message has no token."""

    default_code = "token_store_failed"


class FileStore:
    """Stores the tokens for one API in a JSON file, in the folder `sign-in` of `home`.

    Each origin has its own file, which contains the origin. So the tokens of the sandbox are never sent to the live
    service, or the other way round. On POSIX systems, the folder has the mode 0700 and the file 0600.
    """

    def __init__(self, home: Path, api_url: str) -> None:
        self._origin = origin_of(api_url)
        name = re.sub(r"[^a-z0-9.-]", "_", self._origin.removeprefix("https://"))
        self._path = home / "sign-in" / f"{name}.json"

    def load(self) -> Tokens | None:
        """The stored tokens; None if there are none, or if the file is broken, which is logged and not changed."""
        try:
            text = _retry_if_in_use(self._path.read_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TokenStoreError(f"The sign-in in {self._path} can't be read: {error.strerror}.") from None
        return parse_stored(text, self._path, self._origin)

    def save(self, tokens: Tokens) -> None:
        """Replace the stored tokens. Other processes see the old file or the new one, never a part of one."""
        document = {"api": self._origin, **tokens.as_document()}
        try:
            make_private(self._path.parent)
            write_private(self._path, json.dumps(document))
        except OSError as error:
            raise self._not_kept(error) from None

    def check(self) -> None:
        """Raise `TokenStoreError` if tokens could not be saved; leaves nothing on the disk."""
        try:
            with tempfile.TemporaryFile(dir=next(p for p in self._path.parents if p.exists())):
                pass
        except OSError as error:
            raise self._not_kept(error) from None

    def delete(self) -> None:
        """Delete the tokens."""
        try:
            _retry_if_in_use(lambda: self._path.unlink(missing_ok=True))
        except OSError as error:
            raise TokenStoreError(f"The sign-in in {self._path} can't be removed: {error.strerror}.") from None

    def describe(self) -> str:
        """The path of the file."""
        return str(self._path)

    def _not_kept(self, error: OSError) -> TokenStoreError:
        return TokenStoreError(
            f"A sign-in can't be kept in {self._path}: {error.strerror}. Make its folder writable, or set KALLYAI_HOME "
            "to another."
        )


def parse_stored(text: str | bytes, place: object, origin: str) -> Tokens | None:
    """The tokens in a stored text for one API; None if it is broken, which is logged without a part of it."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("api", origin) != origin:
            raise ValueError(f"not a sign-in for {origin}")  # noqa: TRY301 - handled like all other defects
        return Tokens.from_document(document)
    except (ValueError, RecursionError) as error:
        why = str(error) if type(error) is ValueError else "it is not JSON"  # not the parser's error: it has the text
        _log.warning("%s is broken (%s), so nobody is signed in; signing in replaces it", place, why)
        return None


def make_private(folder: Path) -> None:
    """Create `folder` and its missing parents, all private; if `folder` exists, make it private."""
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    with suppress(OSError):
        folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Replace the file at `path` with `text` in one step; only its owner can read it."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _retry_if_in_use(lambda: new.replace(path))
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


def _retry_if_in_use(action: Callable[[], _T]) -> _T:
    # On Windows, a file can't be replaced or read while another process reads or replaces it.
    for _ in range(_TRIES - 1):
        try:
            return action()
        except PermissionError:
            if _POSIX:
                raise
            time.sleep(_PAUSE)
    return action()
