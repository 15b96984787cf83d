"""Shortens phone numbers and hides secrets in text; every line of the log goes through it."""

import re

CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029]+"
"""Control characters, and line breaks of Unicode."""

ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""An id; text from outside that is none may be private."""

_CREDENTIALS = r"""(?xi)
      (?P<lead> authorization["']? \s* [:=] \s* ["']? (?:(?:bearer|basic) \s+)?
            | (?: access_token|refresh_token|id_token|identity_token|client_secret
                  |mcp_token|password )
              ["']? \s* [:=] \s* ["']?
            | [?&] (?: code|state|token ) = ) [^\s"'&,;]+
    | \b bearer \s+ \S{16,}
    | (?<![A-Za-z0-9]) (?-i: ey[JA] ) [\w-]{5,} (?: \. [\w-]* )*
    | (?P<scheme> ://) [^/\s]+ @
"""
"""Secrets: text after a name such as `password`, a bearer token (RFC 6750), a JWT (RFC 7519), a
URL's user info.
"""

_NUMBER = r"""(?x)
      (?P<kept> \b (?: 19|20 ) \d\d - (?: 0[1-9]|1[0-2] ) - (?: 0[1-9]|[12]\d|3[01] ) (?!\d)
                (?: [T\ ] \d\d : \d\d (?: : \d\d (?: [.,] \d{1,9} )? )?
                    (?: Z | [+-] \d\d :? \d\d )? (?!\d) )?
              | \b [0-9a-f]{8} (?: - [0-9a-f]{4} ){3} - [0-9a-f]{12} \b
              | \b (?= [0-9]*[a-f] ) [0-9a-f]{24,64} \b )
    | (?P<plus> [+\uff0b] \s? )? \(? \d (?: [\s().\-/\u2010-\u2015\u2212\u200b\u2060]{0,3} \d ){6,}
"""
"""Seven digits or more, with separators between them; `kept` are dates, UUIDs, and long hexadecimal
ids.
"""


def redact(text: str) -> str:
    """A text with `[token]` in place of each secret, and `+1…34` or `…34` in place of each phone
    number.

    Seven digits or more count as a phone number. Redacting the result again changes nothing.
    """
    # `re` compiles the patterns for the first line of the log: at import, that would delay the
    # start.
    return re.sub(_NUMBER, _shorten_number, re.sub(_CREDENTIALS, _hide_secret, text))


def _hide_secret(found: re.Match[str]) -> str:
    return "://[token]@" if found["scheme"] else f"{found['lead'] or ''}[token]"


def _shorten_number(found: re.Match[str]) -> str:
    if found["kept"]:
        return found["kept"]
    digits = re.sub(r"\D", "", found[0])
    if found["plus"]:
        return f"+{digits[0]}…{digits[-2:]}"
    return f"…{digits[-2:]}"


def id_or(text: str, otherwise: str) -> str:
    """A text that is an id as it is; something else in place of any other."""
    return text if re.fullmatch(ID, text) else otherwise
