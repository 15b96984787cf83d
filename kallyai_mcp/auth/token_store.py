"""The token store: the system's keyring, or a file that only its owner can read, by a setting."""

import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import filterfalse
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.urls import origin_of

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

SERVICE = "kallyai-mcp"
LIVE_ORIGIN = "https://api.kallyai.com"
"""The origin of the only API that gets the vendor's tokens."""

_POSIX = os.name == "posix"
_TRIES = 20
_PAUSE = 0.025
_TO_FILE = "set KALLYAI_TOKEN_STORE to file, to keep the sign-in in a file that only you can read"


class TokenStoreError(KallyAIError, code="token_store_failed"):
    """The tokens can't be read from the token store, kept in it, or removed from it.

    The message has no token.
    """


class TokenStore:
    """The tokens for one API, where the setting `KALLYAI_TOKEN_STORE` has them kept: the system's
    keyring, or a file.

    `auto` uses the keyring if its library recommends it; else, or if the keyring fails, the file.
    Saving to the keyring deletes the file. So if there is a file, it has the newest tokens, and is
    read first.

    Each origin has its own file, in the folder `sign-in` of `home`, and its own entry in the
    keyring. The file contains the origin. So the tokens of the sandbox are never sent to the live
    service, or the other way round. On POSIX systems, the folder has the mode 0700 and the file
    0600. On Windows, an entry of the keyring has at most 1,280 characters. Two tokens of the size
    of the sandbox's access token take 1,214.

    While nothing is kept for the live service, the tokens of the vendor's own tools are used. Their
    file is JSON with `access_token`, `refresh_token` (may be null or empty), and `expires_at` in
    seconds since the epoch, a minute early, which is not corrected. It is not ours, so it is never
    written. After a sign-out, it is no longer used.

    All methods block, for example until a user has unlocked a keyring. Nothing is read before the
    first use. A broken file or entry counts as no sign-in; it is logged and not changed.
    """

    def __init__(
        self, choice: Literal["auto", "keyring", "file"], home: Path, api_url: str
    ) -> None:
        self._choice = choice
        self._origin = origin_of(api_url)
        name = re.sub(r"[^a-z0-9.-]", "_", self._origin.removeprefix("https://"))
        self.path = home / "sign-in" / f"{name}.json"
        self._signed_out = home / "sign-in" / "vendor-signed-out"
        self._vendor = Path.home() / ".kallyai_token.json" if self._origin == LIVE_ORIGIN else None

    def load(self) -> Tokens | None:
        """The tokens; None if there are none, or if `auto` can't read the keyring, which is logged.

        Raises `TokenStoreError` if the store can't be read.
        """
        return self._load_file() or self._load_keyring() or self._load_vendor()

    def save(self, tokens: Tokens) -> None:
        """Replace the tokens; raises `TokenStoreError` if the store still has the old ones.

        Other processes see the old file or the new one, never a part of one.
        """
        document = tokens.as_document()
        if self._uses_keyring():
            try:
                with _keyring_errors("kept"):
                    _keyring().set_password(SERVICE, self._origin, json.dumps(document))
            except TokenStoreError as error:
                if self._choice == "keyring":
                    raise
                _log.warning("%s The sign-in goes to %s.", error, self.path)
            else:
                self._delete_file()
                return
        with _file_errors("kept", self.path):
            make_private(self.path.parent)
            write_private(self.path, json.dumps({"api": self._origin, **document}))

    def check(self) -> None:
        """Raise `TokenStoreError` if it is known that tokens could not be saved; leaves nothing on
        the disk.

        Whether a keyring is locked is not known before it is used.
        """
        if self._uses_keyring():
            with _keyring_errors("kept"):
                _keyring()
        else:
            with _file_errors("kept", self.path):
                nearest = next(filter(Path.exists, self.path.parents))
                tempfile.TemporaryFile(dir=nearest).close()

    def delete(self) -> None:
        """Delete our own tokens, and remember not to use the vendor's; after `TokenStoreError`,
        some may be left.
        """
        # In this order, so that a crash between the steps does not sign the user in with the
        # vendor's tokens.
        if self._load_vendor() is not None:
            with _file_errors("removed", self._signed_out):
                make_private(self._signed_out.parent)
                write_private(self._signed_out, "")
        self._delete_file()
        if self._uses_keyring():
            with _keyring_errors("removed"):
                if _keyring().get_password(SERVICE, self._origin) is not None:
                    _keyring().delete_password(SERVICE, self._origin)

    def _uses_keyring(self) -> bool:
        if self._choice != "auto":
            return self._choice == "keyring"
        try:
            return bool(_keyring().priority >= 1)
        except Exception:  # noqa: BLE001 - see `_keyring_errors`
            return False

    def _delete_file(self) -> None:
        with _file_errors("removed", self.path):
            # A file system that can't be written refuses it also for a file that is not there.
            if self.path.exists():
                _retry_if_in_use(lambda: self.path.unlink(missing_ok=True))

    def _load_file(self) -> Tokens | None:
        with _file_errors("read", self.path):
            try:
                text = _retry_if_in_use(self.path.read_bytes)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return self._parse(text, self.path)

    def _load_keyring(self) -> Tokens | None:
        if not self._uses_keyring():
            return None
        try:
            with _keyring_errors("read"):
                text = _keyring().get_password(SERVICE, self._origin)
        except TokenStoreError as error:
            if self._choice == "keyring":
                raise
            _log.warning("%s Until then nobody is signed in.", error)
            return None
        if text is None:
            return None
        # A backend may break its contract, and return another type.
        return self._parse(str(text), "the system keyring")

    def _parse(self, text: str | bytes, place: object) -> Tokens | None:
        """The tokens in a stored text; None if it is broken, which is logged without a part of
        it.
        """
        try:
            tokens = Tokens.model_validate(document := json.loads(text))
            if document.get("api", self._origin) == self._origin:
                return tokens
        except (ValueError, RecursionError):
            pass
        _log.warning(
            "%s has no sign-in for %s that can be read, so it is not used", place, self._origin
        )
        return None

    def _load_vendor(self) -> Tokens | None:
        if self._vendor is None or self._signed_out.exists():
            return None
        try:
            return self._parse(self._vendor.read_bytes(), self._vendor)
        except OSError:
            return None


def make_private(folder: Path) -> None:
    """Create `folder` and its missing parents, all private; if `folder` exists, make it private."""
    places = (*reversed(folder.parents), folder)
    for missing in list(filterfalse(Path.exists, places)):
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


def _keyring() -> "KeyringBackend":
    # Imported late: it takes 100 ms, and a server's first answer does not need it.
    import keyring

    backend = keyring.get_keyring()
    if backend.priority <= 0:  # it keeps nothing
        raise TokenStoreError(
            f"This machine has no keyring that could keep the sign-in. S{_TO_FILE[1:]}."
        )
    return backend


@contextmanager
def _file_errors(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TokenStoreError(
            f"The sign-in can't be {what} in {path}: {error.strerror}. Make its folder writable, "
            "or set KALLYAI_HOME "
            "to another."
        ) from None


@contextmanager
def _keyring_errors(what: str) -> Iterator[None]:
    """Turn every exception into a `TokenStoreError`: each backend raises those of its own
    libraries.

    It has the name of the exception's class, and not its message, which may have a token.
    """
    try:
        yield
    except TokenStoreError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        name = type(error).__name__
        raise TokenStoreError(
            f"The sign-in can't be {what} in the system keyring ({name}). Unlock the keyring, or "
            f"{_TO_FILE}."
        ) from None
