"""Token stores: their protocol, combinations of them, and the choice of one by a setting."""

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
    """Stores the tokens for one API. All methods block, for example until a user has unlocked a keyring."""

    def load(self) -> Tokens | None:
        """The stored tokens; None if there are none. Raises `TokenStoreError` if the store can't be read."""
        ...

    def save(self, tokens: Tokens) -> None:
        """Replace the stored tokens. Raises `TokenStoreError`; then the store still has the old ones."""
        ...

    def delete(self) -> None:
        """Delete the tokens. Raises `TokenStoreError` if they may still be there."""
        ...

    def describe(self) -> str:
        """The place of the tokens, in words for a user."""
        ...


class AutoStore:
    """The system's keyring if there is a usable one; else, or if the keyring fails, a file.

    Saving to the keyring deletes the file. So if there is a file, it has the newest tokens, and is read first.
    """

    def __init__(self, keyring: KeyringStore, file: FileStore) -> None:
        self._keyring = keyring
        self._file = file

    def load(self) -> Tokens | None:
        """The stored tokens; None if there are none, or if the keyring can't be read, which is logged."""
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
    """A store of our own, and while it is empty, the tokens of the vendor's own tools.

    Signing out does not delete the vendor's file, because it is not ours. Instead, the account is written to
    `signed_out`, and its tokens in the vendor's file are no longer used. Those of another account are.

    Args:
        own: Our own store.
        vendor: The vendor's file.
        signed_out: A file with the ids of the accounts that were signed out, one in a line.
    """

    def __init__(self, own: TokenStore, vendor: VendorStore, signed_out: Path) -> None:
        self._own = own
        self._vendor = vendor
        self._signed_out = signed_out

    def load(self) -> Tokens | None:
        """Our own tokens; else the vendor's, unless their account was signed out here."""
        return self._own.load() or self._load_vendor()

    def save(self, tokens: Tokens) -> None:
        """Save `tokens` to our own store; the vendor's file is never written."""
        self._own.save(tokens)

    def delete(self) -> None:
        """Delete our own tokens, and remember not to use the vendor's."""
        # In this order, so that a crash between the steps does not sign the user in with the vendor's tokens.
        if (vendor_tokens := self._load_vendor()) is not None:
            try:
                make_private(self._signed_out.parent)
                accounts = [*sorted(self._signed_out_accounts()), vendor_tokens.account]
                write_private(self._signed_out, "\n".join([*accounts, ""]))
            except OSError as error:
                raise TokenStoreError(
                    f"The sign-out can't be written to {self._signed_out}: {error.strerror}."
                ) from None
        self._own.delete()

    def describe(self) -> str:
        """The store that has the tokens, or would get them."""
        if self._own.load() is None and self._load_vendor() is not None:
            return self._vendor.describe()
        return self._own.describe()

    def _load_vendor(self) -> Tokens | None:
        tokens = self._vendor.load()
        return None if tokens is None or tokens.account in self._signed_out_accounts() else tokens

    def _signed_out_accounts(self) -> set[str]:
        try:
            return set(self._signed_out.read_text(encoding="utf-8").split())
        except FileNotFoundError:
            return set()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenStoreError(f"{self._signed_out}, which says who signed out, can't be read.") from error


def open_store(
    choice: Literal["auto", "keyring", "file"], home: Path, api_url: str, *, vendor: Path | None = None
) -> TokenStore:
    """The token store for one API. Nothing is read and no keyring is imported before its first use.

    Args:
        choice: The setting `KALLYAI_TOKEN_STORE`. `auto` is the system's keyring if there is a usable one, else a file.
        home: The folder of this program.
        api_url: The URL of the API. Each origin has its own tokens. Only the live service gets the vendor's tokens.
        vendor: The token file of the vendor's own tools; None for its usual path.
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
    return VendorFallbackStore(own, VendorStore(vendor or vendor_path()), home / "sign-in" / "vendor-signed-out")
