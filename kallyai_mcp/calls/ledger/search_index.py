"""Finds the calls of an account by their words: the table `call_words`.

A row says that a call has a word (`search_words`). The rows of a word are in the order of time, so
that the newest calls with it are found without reading the others.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.conditions import list_ids
from kallyai_mcp.calls.ledger.rows import as_written, readable
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.search_words import Search, SearchResult, search_words, words_in
from kallyai_mcp.clock import moment, seconds_or_none

_BATCH = 500
"""How many records are in memory at once."""

_MOST_ROWS = 200
"""How many rows one statement inserts: older versions of SQLite take 999 values."""

_LOOKED_AT = 1000
"""How many of the newest calls with a word are looked at for other words. A search of a million
calls must not look up each.
"""


def keep(tx: Tx, known: CallRecord | None, record: CallRecord) -> None:
    """Write the words of a record, in place of those of the record that was `known` before."""
    before = word_rows(known) if known is not None else frozenset()
    rows = word_rows(record)
    if before <= rows:
        _insert(tx, record.tracking_id, rows - before)
        return
    remove(tx, [record.tracking_id])
    _insert(tx, record.tracking_id, rows)


def remove(tx: Tx, tracking_ids: Collection[str]) -> None:
    """Delete the words of these calls."""
    listed, names = list_ids(tracking_ids)
    tx.run(f"DELETE FROM call_words WHERE tracking_id IN ({listed})", **names)


def find_about(tx: Tx, account: AccountKey, search: Search) -> SearchResult:
    """The account's calls that have all words of a search, the newest first; none without words.

    Of the calls with the rarest of several words, the newest are looked at.
    """
    words = words_in(search.about)
    if not words:
        return SearchResult()
    rarest, *others = _rarest_first(tx, [_term(account, word) for word in words])
    conditions, values = _conditions(rarest.term, search)
    rows = _rows_with(tx, conditions, values, [other.term for other in others], search)
    # Two words may have the same hash.
    found = [record for record in readable(tx, rows) if _fits(record, account, search)]
    if rarest.calls < _LOOKED_AT or len(rows) == search.most:
        return SearchResult(found)
    return SearchResult(found, _oldest_looked_at(tx, conditions, values))


def _fits(record: CallRecord, account: AccountKey, search: Search) -> bool:
    """Whether a record is of the account, and has all words of a search."""
    words = words_in(search.about)
    has_words = search_words(record).have(words, with_quotes=search.with_quotes)
    return has_words and record.account == account


def _rows_with(
    tx: Tx, conditions: str, values: Row, others: Sequence[int], search: Search
) -> list[Row]:
    """The rows of the newest calls among those that are looked at, which have the other words."""
    terms = {f"other_{number}": term for number, term in enumerate(others)}
    has_others = [_has_other(name, with_quotes=search.with_quotes) for name in terms]
    newest = (
        f"SELECT tracking_id, placed_at FROM ({_newest_with(conditions)}) AS words "
        f"WHERE {' AND '.join(['TRUE', *has_others])} ORDER BY placed_at DESC LIMIT :most"
    )
    return tx.rows(
        f"SELECT calls.* FROM ({newest}) AS newest "
        "JOIN calls ON calls.tracking_id = newest.tracking_id ORDER BY newest.placed_at DESC",
        **values,
        **terms,
        most=search.most,
    )


def _conditions(rarest: int, search: Search) -> tuple[str, dict[str, object]]:
    """The condition for the rows of a word that a search may find, and its parameters."""
    values: dict[str, object] = {"rarest": rarest}
    conditions = ["term = :rarest"]
    if not search.with_quotes:
        conditions.append("is_quoted = 0")
    for name, sign, at in (("since", ">=", search.since), ("until", "<=", search.until)):
        if at is not None:
            values[name] = seconds_or_none(at)
            conditions.append(f"placed_at {sign} :{name}")
    return " AND ".join(conditions), values


def _newest_with(conditions: str) -> str:
    """The statement for the newest rows of a word. The order keeps PostgreSQL from reading other
    words until it has found so many, and the limit is a number so that it knows that it is small.
    """
    return (
        f"SELECT tracking_id, placed_at FROM call_words WHERE {conditions} "
        f"ORDER BY placed_at DESC LIMIT {_LOOKED_AT}"
    )


def _oldest_looked_at(tx: Tx, conditions: str, values: Row) -> datetime | None:
    """When the oldest call was asked for that was looked at; None if there is no older one."""
    (row,) = tx.rows(
        f"SELECT COUNT(*) AS calls, MIN(placed_at) AS oldest FROM ({_newest_with(conditions)}) "
        "AS looked_at",
        **values,
    )
    return moment(row["oldest"]) if row["calls"] == _LOOKED_AT else None


def fill(tx: Tx) -> None:
    """Write the words of the records that an older version has written."""
    last = ""
    while rows := tx.rows(
        "SELECT * FROM calls WHERE tracking_id > :last ORDER BY tracking_id LIMIT :most",
        last=last,
        most=_BATCH,
    ):
        for record in as_written(rows):
            _insert(tx, record.tracking_id, word_rows(record))
        last = rows[-1]["tracking_id"]


def _has_other(name: str, *, with_quotes: bool) -> str:
    """The condition for calls that have one more word. PostgreSQL looks it up for one call after
    another, as it should, only where there is a `LIMIT`.
    """
    only = "" if with_quotes else " AND is_quoted = 0"
    return (
        f"(SELECT 1 FROM call_words WHERE term = :{name} AND placed_at = words.placed_at "
        f"AND tracking_id = words.tracking_id{only} LIMIT 1) IS NOT NULL"
    )


class _Counted(NamedTuple):
    """A term, and how many calls have it, as far as they are counted."""

    term: int
    calls: int


def _rarest_first(tx: Tx, terms: Sequence[int]) -> list[_Counted]:
    """The terms; the one that leaves least to look up is the first."""
    values = {f"term_{number}": term for number, term in enumerate(terms)}
    counted = [
        f"(SELECT COUNT(*) FROM ({_newest_with(f'term = :{name}')}) AS found) AS {name}"
        for name in values
    ]
    (row,) = tx.rows(f"SELECT {', '.join(counted)}", **values)
    counts = [_Counted(term, row[name]) for name, term in values.items()]
    return sorted(counts, key=lambda each: each.calls)


@dataclass(frozen=True)
class WordRow:
    """A row of a call: one of its words."""

    term: int
    placed_at: float
    is_quoted: bool  # stored as 0 or 1


def word_rows(record: CallRecord) -> frozenset[WordRow]:
    """The rows of a record. Of two words with the same hash, one has a row."""
    words = search_words(record)
    at = record.asked_at.timestamp()
    quoted = {_term(record.account, word): True for word in words.quoted}
    reported = {_term(record.account, word): False for word in words.reported}
    rows = (quoted | reported).items()
    return frozenset(WordRow(term, at, is_quoted=is_quoted) for term, is_quoted in rows)


def _insert(tx: Tx, tracking_id: str, rows: Collection[WordRow]) -> None:
    listed = list(rows)
    for first in range(0, len(listed), _MOST_ROWS):
        _insert_some(tx, tracking_id, listed[first : first + _MOST_ROWS])


def _insert_some(tx: Tx, tracking_id: str, rows: Iterable[WordRow]) -> None:
    """Insert rows, in one statement."""
    values: dict[str, object] = {"tracking_id": tracking_id}
    places = []
    for number, row in enumerate(rows):
        values |= {
            f"term_{number}": row.term,
            f"at_{number}": row.placed_at,
            f"quoted_{number}": int(row.is_quoted),
        }
        places.append(f"(:term_{number}, :at_{number}, :tracking_id, :quoted_{number})")
    columns = "term, placed_at, tracking_id, is_quoted"
    tx.run(f"INSERT INTO call_words ({columns}) VALUES {', '.join(places)}", **values)


def _term(account: AccountKey, word: str) -> int:
    """A number for a word of an account, as both databases store it: 64 bits with a sign."""
    text = f"{account.api}\0{account.account}\0{word}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)
