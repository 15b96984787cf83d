"""Token stores: the system's keyring, a file, the vendor's file, and the choice of them by a setting."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kallyai_mcp.auth.file_store import FileStore, TokenStoreError, make_private, parse_stored, write_private
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.urls import origin_of

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_log = logging.getLogger(__name__)

SERVICE = "kallyai-mcp"
LIVE_ORIGIN = "https://api.kallyai.com"
"""The origin of the only API that gets the vendor's tokens."""

_TO_FILE = "set KALLYAI_TOKEN_STORE to file, to keep the sign-in in a file that only you can read"


class KeyringStore:
    """Stores the tokens for one API in the system's keyring, under the service `kallyai-mcp` and the API's origin.

    Each backend raises exceptions of its own libraries. Every exception, such as that of a locked keyring, becomes a
    `TokenStoreError` with the name of its class. Its message is left out, because it may have a token.

    On Windows, an entry has at most 1,280 characters. Two tokens of the size of the sandbox's access token take 1,214.
    """

    def __init__(self, api_url: str) -> None:
        self._origin = origin_of(api_url)

    def recommended(self) -> bool:
        """Whether there is a keyring that is protected and that its library recommends, for the setting `auto`."""
        try:
            return bool(self._backend().priority >= 1)
        except Exception:  # noqa: BLE001 - see the class
            return False

    def load(self) -> Tokens | None:
        """The stored tokens; None if there are none, or if the entry is broken, which is logged and not changed."""
        with _store_errors("read"):
            text = self._backend().get_password(SERVICE, self._origin)
        # A backend may break its contract, and return another type.
        return None if text is None else parse_stored(str(text), self.describe(), self._origin)

    def save(self, tokens: Tokens) -> None:
        """Replace the stored tokens. If that fails, the keyring still has the old ones."""
        with _store_errors("written"):
            self._backend().set_password(SERVICE, self._origin, json.dumps(tokens.as_document()))

    def check(self) -> None:
        """Raise `TokenStoreError` if there is no keyring. Whether it is locked is not known before it is used."""
        with _store_errors("written"):
            self._backend()

    def delete(self) -> None:
        """Delete the tokens."""
        with _store_errors("removed"):
            if self._backend().get_password(SERVICE, self._origin) is not None:
                self._backend().delete_password(SERVICE, self._origin)

    def describe(self) -> str:
        """The name of the keyring's backend; raises `TokenStoreError` if there is none."""
        return f"the system keyring ({self._backend().name})"

    def _backend(self) -> "KeyringBackend":
        # Imported late: it takes 100 ms, and a server's first answer does not need it.
        import keyring
        from keyring.backends import fail, null

        backend = keyring.get_keyring()
        if isinstance(backend, fail.Keyring | null.Keyring) or getattr(backend, "backends", None) == []:
            raise TokenStoreError(f"This machine has no keyring that could keep the sign-in. S{_TO_FILE[1:]}.")
        return backend


@contextmanager
def _store_errors(what: str) -> Iterator[None]:
    """A context that turns every exception into a `TokenStoreError`, which says that the sign-in can't be `what`."""
    try:
        yield
    except TokenStoreError:
        raise
    except Exception as error:  # noqa: BLE001 - see `KeyringStore`
        name = type(error).__name__
        raise TokenStoreError(
            f"The sign-in can't be {what} in the system keyring ({name}). Unlock the keyring, or {_TO_FILE}."
        ) from None


class AutoStore:
    """The system's keyring if there is a usable one; else, or if the keyring fails, a file.

    Saving to the keyring deletes the file. So if there is a file, it has the newest tokens, and is read first.
    """

    def __init__(self, keyring: KeyringStore, file: FileStore) -> None:
        self._keyring, self._file = keyring, file

    def load(self) -> Tokens | None:
        """The stored tokens; None if there are none, or if the keyring can't be read, which is logged."""
        if (tokens := self._file.load()) is not None or not self._keyring.recommended():
            return tokens
        try:
            return self._keyring.load()
        except TokenStoreError as error:
            _log.warning("%s Until then nobody is signed in.", error)
            return None

    def save(self, tokens: Tokens) -> None:
        """Save `tokens` to the keyring, or else to the file; raises `TokenStoreError` if neither can be written."""
        if self._keyring.recommended():
            try:
                self._keyring.save(tokens)
            except TokenStoreError as error:
                _log.warning("%s The sign-in goes to %s.", error, self._file.describe())
            else:
                self._file.delete()
                return
        self._file.save(tokens)

    def check(self) -> None:
        """Raise `TokenStoreError` if there is no usable keyring, and the file could not be written."""
        if not self._keyring.recommended():
            self._file.check()

    def delete(self) -> None:
        """Delete the tokens from both; raises `TokenStoreError` if one of them may still have them."""
        self._file.delete()
        if self._keyring.recommended():
            self._keyring.delete()

    def describe(self) -> str:
        """The store that has the tokens, or would get them."""
        if self._file.load() is None and self._keyring.recommended():
            return self._keyring.describe()
        return self._file.describe()


class VendorFallbackStore:
    """A store of our own, and while it is empty, the token file of the vendor's own tools, which is never written.

    The vendor's file is JSON with `access_token`, `refresh_token` (may be null or empty), and `expires_at` in seconds
    since the epoch, a minute early, which is not corrected. Signing out does not delete it, because it is not ours.
    Instead, the file `signed_out` is made, and then the vendor's file is no longer used.
    """

    def __init__(self, own: FileStore | KeyringStore | AutoStore, vendor: Path, signed_out: Path) -> None:
        self._own, self._vendor, self._signed_out = own, vendor, signed_out
        self.save, self.check = own.save, own.check

    def load(self) -> Tokens | None:
        """Our own tokens; else the vendor's, unless they were signed out here."""
        return self._own.load() or self._load_vendor()

    def delete(self) -> None:
        """Delete our own tokens, and remember not to use the vendor's."""
        # In this order, so that a crash between the steps does not sign the user in with the vendor's tokens.
        if self._load_vendor() is not None:
            try:
                make_private(self._signed_out.parent)
                write_private(self._signed_out, "")
            except OSError as error:
                words = f"The sign-out can't be written to {self._signed_out}: {error.strerror}."
                raise TokenStoreError(words) from None
        self._own.delete()

    def describe(self) -> str:
        """The store that has the tokens, or would get them."""
        if self._own.load() is None and self._load_vendor() is not None:
            return f"{self._vendor} (of KallyAI's own tools, read only)"
        return self._own.describe()

    def _load_vendor(self) -> Tokens | None:
        if self._signed_out.exists():
            return None
        try:
            document = json.loads(self._vendor.read_bytes())
            tokens = Tokens.from_document(document)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            _log.warning("%s can't be read as a sign-in of KallyAI's own tools; it is left alone", self._vendor)
            return None
        # Without an account in the tokens, the refresh token identifies the sign-in, because it lasts longer.
        named_by = document.get("refresh_token") or document["access_token"]
        lineage = sha256(f"kallyai-mcp vendor\n{named_by}".encode()).hexdigest()[:32]
        return tokens.model_copy(update={"lineage": lineage})


TokenStore = FileStore | KeyringStore | AutoStore | VendorFallbackStore
"""Stores the tokens for one API. All methods block, for example until a user has unlocked a keyring.

`load` raises `TokenStoreError` if the store can't be read, `save` if it still has the old tokens, `delete` if the
tokens may still be there, and `check` if it is known that tokens could not be saved. `describe` is for a user.
"""


def open_store(choice: Literal["auto", "keyring", "file"], home: Path, api_url: str) -> TokenStore:
    """The token store for one API, by the setting `KALLYAI_TOKEN_STORE`. Nothing is read before its first use.

    Each origin has its own tokens, and only the live service gets those of the vendor's tools.
    """
    keyring, file = KeyringStore(api_url), FileStore(home, api_url)
    own = keyring if choice == "keyring" else file if choice == "file" else AutoStore(keyring, file)
    if origin_of(api_url) != LIVE_ORIGIN:
        return own
    return VendorFallbackStore(own, Path.home() / ".kallyai_token.json", home / "sign-in" / "vendor-signed-out")
