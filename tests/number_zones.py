"""Makes `number_zones.json`, the time zones of phone numbers, which `phonenumberslite` leaves out.

    uv run --no-project --with phonenumbers python tests/number_zones.py

Run it after new versions of the dependencies were pinned.
"""

import json
from pathlib import Path

import phonenumbers

FILE = Path(__file__).parents[1] / "kallyai_mcp" / "calls" / "number_zones.json"

if __name__ == "__main__":
    from phonenumbers.tzdata import TIMEZONE_DATA  # type: ignore[import-not-found]  # not in the tests' environment

    prefixes: dict[str, list[str]] = {}
    for prefix, zones in sorted(TIMEZONE_DATA.items()):
        known = sorted(set(zones) - {"Etc/Unknown"})
        # From Guam to Newfoundland: only an area code shows what time it is.
        if known and prefix != "1":
            prefixes.setdefault(" ".join(known), []).append(prefix)
    source = f"libphonenumber (Apache-2.0), by phonenumbers {phonenumbers.__version__}"
    table = {
        "source": source,
        "prefixes": {zones: " ".join(found) for zones, found in sorted(prefixes.items())},
    }
    FILE.write_text(f"{json.dumps(table, indent=0)}\n", encoding="utf-8")
    print(f"{FILE}: {sum(map(len, prefixes.values()))} prefixes, {source}")
