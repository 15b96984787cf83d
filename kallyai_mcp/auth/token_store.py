"""Where a sign-in is kept, and which of the places is used."""

import logging
from pathlib import Path
from typing import Literal, Protocol

from kallyai_mcp.auth.errors import TokenStoreError
from kallyai_mcp.auth.file_store import FileStore, make_private, write_private
from kallyai_mcp.auth.keyring_store import KeyringStore
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.auth.vendor_store import LIVE_ORIGIN, VendorStore, vendor_path
from kallyai_mcp.urls import origin_of

_log = logging.getLogger(__name__)


class TokenStore(Protocol):
    """Keeps one sign-in for one API. All methods may block for as long as a person takes to unlock a keyring."""

    def load(self) -> Tokens | None:
        """The tokens kept, or None when there are none; raises `TokenStoreError` when that can't be told."""
        ...

    def save(self, tokens: Tokens) -> None:
        """Keep `tokens` in place of what was kept; raises `TokenStoreError` and then what was kept is still there."""
        ...

    def delete(self) -> None:
        """Forget the tokens; raises `TokenStoreError` when they may still be there."""
        ...

    def describe(self) -> str:
        """Where the tokens are, for a person."""
        ...


class MemoryStore:
    """Keeps a sign-in for as long as the process lives."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens

    def load(self) -> Tokens | None:
        """The tokens kept, or None."""
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        """Keep `tokens`."""
        self._tokens = tokens

    def delete(self) -> None:
        """Forget the tokens."""
        self._tokens = None

    def describe(self) -> str:
        """Where the tokens are: in memory."""
        return "memory (until this process ends)"


class AutoStore:
    """The system's keyring where there is a usable one, else a file; and the file too when the keyring fails.

    Whatever is in the file goes before the keyring, because a save into the keyring removes the file: if there is
    one, the keyring refused the latest sign-in.
    """

    def __init__(self, keyring: KeyringStore, file: FileStore) -> None:
        self._keyring = keyring
        self._file = file

    def load(self) -> Tokens | None:
        """The tokens kept, or None; a keyring that can't be read counts as empty, with a warning in the log."""
        if (tokens := self._file.load()) is not None:
            return tokens
        if not self._keyring.recommended():
            return None
        try:
            return self._keyring.load()
        except TokenStoreError as error:
            _log.warning("%s Until then nobody is signed in.", error)
            return None

    def save(self, tokens: Tokens) -> None:
        """Keep `tokens` in the keyring, or else in the file; raises `TokenStoreError` when neither can be written."""
        if self._keyring.recommended():
            try:
                self._keyring.save(tokens)
            except TokenStoreError as error:
                _log.warning("%s The sign-in goes to %s.", error, self._file.describe())
            else:
                self._file.delete()
                return
        self._file.save(tokens)

    def delete(self) -> None:
        """Forget the tokens in both; raises `TokenStoreError` when one of them may still have them."""
        self._file.delete()
        if self._keyring.recommended():
            self._keyring.delete()

    def describe(self) -> str:
        """The place that has the tokens, or would get them."""
        if self._file.load() is None and self._keyring.recommended():
            return self._keyring.describe()
        return self._file.describe()


class WithVendor:
    """A store of our own that takes over the sign-in of the vendor's own tools while it is empty itself.

    Signing out can't remove the vendor's file, which isn't ours. So the account in it is written down, and from then on
    that account is only taken from there again after the note (`note`, one account id a line) is gone; another account
    in it is. Signing in here does not need the file.
    """

    def __init__(self, own: TokenStore, vendor: VendorStore, note: Path) -> None:
        self._own = own
        self._vendor = vendor
        self._note = note

    def load(self) -> Tokens | None:
        """Our own tokens, else the vendor's unless that account was signed out here."""
        return self._own.load() or self._taken_over()

    def save(self, tokens: Tokens) -> None:
        """Keep `tokens` in our own store; the vendor's file is never written."""
        self._own.save(tokens)

    def delete(self) -> None:
        """Forget our own tokens and remember not to take over the vendor's."""
        # The note comes first: a crash in between must not bring the sign-in back.
        if (taken := self._taken_over()) is not None:
            try:
                make_private(self._note.parent)
                write_private(self._note, "\n".join([*sorted(self._signed_out()), taken.account, ""]))
            except OSError as error:
                raise TokenStoreError(f"The sign-out can't be written to {self._note}: {error.strerror}.") from None
        self._own.delete()

    def describe(self) -> str:
        """The place that has the tokens, or would get them."""
        if self._own.load() is None and self._taken_over() is not None:
            return self._vendor.describe()
        return self._own.describe()

    def _taken_over(self) -> Tokens | None:
        tokens = self._vendor.load()
        return None if tokens is None or tokens.account in self._signed_out() else tokens

    def _signed_out(self) -> set[str]:
        try:
            return set(self._note.read_text(encoding="utf-8").split())
        except FileNotFoundError:
            return set()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenStoreError(f"{self._note}, which says who signed out, can't be read.") from error


def open_store(
    choice: Literal["auto", "keyring", "file"], home: Path, api_url: str, *, vendor: Path | None = None
) -> TokenStore:
    """The store for the sign-in to one API; nothing is read and no keyring is imported before it is first used.

    Args:
        choice: The setting `TOKEN_STORE`. `auto` is the system's keyring where there is a usable one, else a file.
        home: The folder of this program.
        api_url: The API; each origin has a sign-in of its own, and only the live one takes over the vendor's.
        vendor: The token file of the vendor's own tools; by default where they keep it.
    """
    own: TokenStore
    if choice == "keyring":
        own = KeyringStore(api_url)
    elif choice == "file":
        own = FileStore(home, api_url)
    else:
        own = AutoStore(KeyringStore(api_url), FileStore(home, api_url))
    if origin_of(api_url) != LIVE_ORIGIN:
        return own
    return WithVendor(own, VendorStore(vendor or vendor_path()), home / "sign-in" / "vendor-signed-out")
