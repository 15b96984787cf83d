"""In which countries KallyAI certainly calls nobody.

It calls the United States, Canada, the United Kingdom, Spain, and most European countries
("Supported Countries" of the reference). Where that leaves a doubt, KallyAI decides: about the
territories of these countries overseas, about countries that are partly in Europe, and about
numbers of no country.
"""

_MAY_BE_CALLED = {
    "the United States": "US AS GU MP PR VI",
    "Canada": "CA",
    "Europe": (
        "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT "
        "LU LV MC MD ME MK MT NL NO PL PT RO RS SE SI SJ SK SM UA VA XK"
    ),
    "partly in Europe": "AM AZ CY GE KZ RU TR",
    "overseas": (
        "AC AI AW BL BM BQ CW FK GF GL GP IO KY MF MQ MS NC PF PM RE SH SX TA TC VG WF YT"
    ),
    "no country": "001",
}
"""The regions that KallyAI may call, as `phonenumbers` names them: by ISO 3166-1 for most."""

_REGIONS = frozenset(" ".join(_MAY_BE_CALLED.values()).split())


def is_never_called(number: str) -> bool:
    """Whether a number (E.164) is in a country outside the United States, Canada, and Europe."""
    import phonenumbers  # here, because the import takes about 50 ms

    region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    return region is not None and region not in _REGIONS
