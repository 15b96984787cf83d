"""Sentences about wrong arguments, in English and Spanish."""

from collections.abc import Mapping, Sequence
from typing import Any

from kallyai_mcp.calls.numbers import NumberProblem, country_name, place_of
from kallyai_mcp.tools.text.times import weekday_name

_WRONG: dict[str, tuple[str, str]] = {
    "missing": ("missing or empty", "falta o está vacío"),
    "literal_error": ("{given} is not one of {expected}", "{given} no es ninguno de estos valores: {expected}"),
    "less_than_equal": ("{given} is over the limit of {le:g}", "{given} supera el límite de {le:g}"),
    "greater_than_equal": ("{given} is under {ge:g}", "{given} es menor que {ge:g}"),
    "string_type": ("{given} is not a text", "{given} no es un texto"),
    "string_too_long": (
        "{given} is longer than {max_length} characters; shorten it to what the call needs",
        "{given} tiene más de {max_length} caracteres; redúcelo a lo que la llamada necesita",
    ),
    "string_too_short": ("{given} is too short", "{given} es demasiado corto"),
    "string_pattern_mismatch": (
        "{given} is not a time as HH:MM (24 hours)",
        "{given} no es una hora como HH:MM (24 horas)",
    ),
    "time_meant": (
        "{given} is not a time as HH:MM (24 hours); did you mean {meant}?",
        "{given} no es una hora como HH:MM (24 horas); ¿quisiste decir {meant}?",
    ),
    "int_type": ("{given} is not a whole number", "{given} no es un número entero"),
    "int_parsing": ("{given} is not a whole number", "{given} no es un número entero"),
    "int_from_float": ("{given} is not a whole number", "{given} no es un número entero"),
    "int_parsing_size": (
        "{given} is not a whole number of sensible size",
        "{given} no es un número entero de tamaño razonable",
    ),
    "float_type": ("{given} is not a number", "{given} no es un número"),
    "float_parsing": ("{given} is not a number", "{given} no es un número"),
    "finite_number": ("{given} is not a finite number", "{given} no es un número finito"),
    "number_expected": ("{given} must be a number", "{given} debe ser un número"),
    "bool_type": ("{given} is neither true nor false", "{given} no es true ni false"),
    "bool_parsing": ("{given} is neither true nor false", "{given} no es true ni false"),
    "list_type": ("{given} is not a list", "{given} no es una lista"),
    "too_long": ("{given} has more than {max_length} items", "{given} tiene más de {max_length} elementos"),
    "too_short": ("{given} has fewer than {min_length} items", "{given} tiene menos de {min_length} elementos"),
    "no_list": (
        "there is no list with these arguments; to go on with the list of {given}, repeat its other arguments",
        "no hay ninguna lista con estos argumentos; para seguir con la lista de {given}, repite sus otros argumentos",
    ),
    "no_call_of_list": (
        "{given} is no call of this list; take the call_id of its last call",
        "{given} no es una llamada de esta lista; usa el call_id de su última llamada",
    ),
    "iso_date": ("{given} must be a date written YYYY-MM-DD", "{given} debe ser una fecha escrita AAAA-MM-DD"),
    "date_from_datetime_parsing": ("{given} is not a date that exists", "{given} no es una fecha que exista"),
    "past_date_there": (
        "{day} is past; it is {weekday}, {today} there",
        "{day} ya pasó; allí es {weekday}, {today}",
    ),
    "past_date": ("{day} is past; today is {weekday}, {today}", "{day} ya pasó; hoy es {weekday}, {today}"),
    "time_zone": (
        "{given} is not an IANA time zone; it looks like America/New_York",
        "{given} no es una zona horaria IANA; tiene una forma como Europe/Madrid",
    ),
    "time_zone_meant": (
        "{given} is not an IANA time zone; did you mean {meant}?",
        "{given} no es una zona horaria IANA; ¿quisiste decir {meant}?",
    ),
    "twice": ("names a number twice", "contiene dos veces el mismo número"),
    "moment": (
        "{given} is not a date and time; it looks like 2026-11-27T09:00",
        "{given} no es una fecha con hora; tiene una forma como 2026-11-27T09:00",
    ),
    "past_time": ("{given} is past; it is {now} in {zone}", "{given} ya pasó; en {zone} es {now}"),
    "far_time": (
        "{given} is more than {days} days away; call or schedule later",
        "{given} está a más de {days} días; llama o prográmala más adelante",
    ),
    "after_appointment": (
        "{given} is after the appointment that the call asks for",
        "{given} es después de la cita que se pide",
    ),
    "surrogates": ("holds half of a surrogate pair, which is no text", "contiene medio par sustituto, que no es texto"),
    "unknown": ("{tool} has no such argument; it takes {takes}", "{tool} no tiene ese argumento; acepta {takes}"),
    "unknown_takes_none": (
        "{tool} has no such argument; it takes none",
        "{tool} no tiene ese argumento; no acepta ninguno",
    ),
    "unknown_again": ("{tool} has no such argument", "{tool} no tiene ese argumento"),
    "unknown_close": (
        "{tool} has no such argument; did you mean {meant}?",
        "{tool} no tiene ese argumento; ¿quisiste decir {meant}?",
    ),
    "unknown_wish": (
        "{tool} has no such argument; put such a wish into additional_instructions",
        "{tool} no tiene ese argumento; pon ese deseo en additional_instructions",
    ),
    "other": ("{given} is not what this argument takes", "{given} no es lo que acepta este argumento"),
}
"""The sentences, by the type of pydantic's error or of this program's. `{given}` is the value, quoted and cut."""

_NUMBERS: dict[str, tuple[str, str]] = {
    "emergency": (
        "is an emergency number, which KallyAI can't call",
        "es un número de emergencias; KallyAI no lo llama",
    ),
    "not_a_number": (
        "is not a phone number; E.164 looks like +14155551234",
        "no es un número de teléfono; E.164 tiene una forma como +34911234567",
    ),
    "no_country": ("has no country code; {meanings}", "no tiene prefijo de país; {meanings}"),
    "no_such_country": (
        "has a country code that doesn't exist; E.164 looks like +14155551234",
        "tiene un prefijo de país que no existe; E.164 tiene una forma como +34911234567",
    ),
    "prefix": ("starts with {prefix}; in E.164 it is {meant}", "empieza por {prefix}; en E.164 es {meant}"),
    "letters": ("has letters; in digits it is {meant}", "tiene letras; en cifras es {meant}"),
    "extension": (
        "has an extension, which KallyAI does not support; give the number without it",
        "tiene una extensión, que KallyAI no admite; indica el número sin ella",
    ),
    "too_short": ("is too short for a number of {country}", "es demasiado corto para un número de {country}"),
    "too_long": ("is too long for a number of {country}", "es demasiado largo para un número de {country}"),
    "impossible": ("is not possible as a number of {country}", "no es posible como número de {country}"),
    "invalid": ("is not valid as a number of {country}", "no es válido como número de {country}"),
    "premium_rate": (
        "is a premium-rate number, which KallyAI can't call",
        "es un número de tarificación adicional; KallyAI no lo llama",
    ),
}

_ADVICE: dict[str, tuple[str, str]] = {
    "emergency": ("tell the user to dial it themselves, now", "di al usuario que lo marque él mismo, ya"),
    "invalid": ("check it with the user", "compruébalo con el usuario"),
    "premium_rate": ("ask the user for an ordinary one", "pide al usuario un número normal"),
}
"""What an agent should do about a number, by the kind of `NumberProblem`; people don't see it."""


def wrong(kind: str, spanish: bool, given: str, context: Mapping[str, Any]) -> str:
    """What is wrong with an argument, without a period.

    Args:
        kind: A key of `_WRONG`; an unknown one gets a general sentence.
        spanish: In Spanish; otherwise in English.
        given: The argument's value, quoted.
        context: The other values in the sentence.
    """
    values = dict(context)
    if "today" in values:
        values |= {"weekday": weekday_name(values["today"], spanish=spanish)}
    if "expected" in values:
        values |= {"expected": str(values["expected"]).replace("'", "").replace(" or ", ", ")}
    return _WRONG.get(kind, _WRONG["other"])[spanish].format(given=given, **values)


def wrong_number(problem: NumberProblem, spanish: bool, given: str) -> str:
    """What is wrong with a phone number, without a period."""
    language = "es" if spanish else "en"
    text = _NUMBERS[problem.kind][spanish].format(
        country=country_name(problem.country_code, language) if problem.country_code is not None else "",
        prefix=problem.prefix,
        meant=_with_country(problem.meant[0], language) if problem.meant else "",
        meanings=_meanings(problem.meant, spanish),
    )
    return f"{given} {text}"


def advice(number_problem: str, spanish: bool) -> str:
    """What an agent should do about a `NumberProblem` of this kind; "" if the text about the problem says enough."""
    return _ADVICE.get(number_problem, ("", ""))[spanish]


def _with_country(number: str, language: str) -> str:
    place = place_of(number, language)
    return f"{number} ({place})" if place else number


def _meanings(numbers: Sequence[str], spanish: bool) -> str:
    """The numbers in E.164 that a number without a country code may mean; without any, how such a number begins."""
    if not numbers:
        return "E.164 empieza por + y el prefijo del país" if spanish else "E.164 starts with + and the country code"
    one = "si el país es {}, usa {}" if spanish else "if the country is {}, use {}"
    places = ((place_of(number, "es" if spanish else "en") or number[:3], number) for number in numbers)
    return ", ".join(
        one.format(f"the {place}" if place.startswith(_WITH_ARTICLE) else place, number) for place, number in places
    )


_WITH_ARTICLE = ("United ", "Isle ", "Netherlands")
"""English names of countries that begin with these words get an article in a sentence."""


def fix(count: int, *, places_calls: bool, spanish: bool) -> str:
    """The heading above the list of wrong arguments."""
    if spanish:
        return f"{'No se llamó. ' if places_calls else ''}Corrige {count} argumento{'' if count == 1 else 's'}:"
    return f"{'Not called. ' if places_calls else ''}Fix {count} argument{'' if count == 1 else 's'}:"


def and_more(count: int, *, spanish: bool) -> str:
    """The line below the list of wrong arguments, if there are more than it names."""
    return f"- y {count} más." if spanish else f"- and {count} more."


def emergency(dial: str | None, *, spanish: bool) -> str:
    """The text of the error for an emergency number; `dial` is what the user must dial, if that is known."""
    if spanish:
        return (
            "No se llamó: KallyAI no puede llamar a los servicios de emergencia. "
            f"Di al usuario que marque él mismo el {dial or 'número'}, ya."
        )
    return (
        "Not called: KallyAI cannot call emergency services. "
        f"Tell the user to dial {dial or 'the number'} themselves, now."
    )
