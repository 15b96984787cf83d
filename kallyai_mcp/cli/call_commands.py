"""The options of the commands about calls. Their implementation is imported when a command runs."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from kallyai_mcp.cli.help_texts import in_spanish, json_option, option, sandbox_option
from kallyai_mcp.languages import localized
from kallyai_mcp.settings import Settings

_NUMBER, _NAME = localized("NUMBER", "NÚMERO"), localized("NAME", "NOMBRE")

_id = click.argument("id_", metavar="ID")

Run = Callable[..., None]
"""Runs the function that implements a command, with an app context and the command's other arguments.

It is `terminal.run_with_app_context` with the settings and the options --sandbox and --json.
"""


def _about_calls(command: Callable[..., None]) -> Callable[..., Any]:
    """Give a command the options --sandbox and --json, and a `Run` as its first argument."""

    @wraps(command)
    def with_run(settings: Settings, /, *, sandbox: bool, as_json: bool, **arguments: Any) -> None:
        from kallyai_mcp.cli.terminal import run_with_app_context

        command(partial(run_with_app_context, settings, sandbox=sandbox, as_json=as_json), **arguments)

    return sandbox_option(json_option(click.pass_obj(with_run)))


@click.command(
    short_help=localized("Place a call, and see what was agreed.", "Hace una llamada y muestra lo acordado."),
    help=in_spanish("""
    Hace que KallyAI llame a NÚMERO y se ocupe de TAREA, y muestra lo acordado.

    NÚMERO empieza por + y el prefijo del país. TAREA dice qué debe conseguir la llamada; puede leerse en voz alta.

    Ves la llamada y se te pregunta si hacerla. Es una llamada de verdad a otra persona. El código de
    salida es 0 si la conversación tuvo lugar o la llamada está programada, 1 si no se llamó a nadie, 3 si no se
    localizó a nadie o la llamada se cortó, y 4 si no se sabe el resultado.

    Una llamada con --not-before, u otro intento, la hace cualquier servidor kallyai-mcp tuyo que esté en marcha
    entonces. `cancel` la cancela.

    Ejemplo: kallyai-mcp call +34911234567 "Reservar una mesa" --party 4 --date 2027-03-05 --time 19:00 --name Ada
    """),
)
@click.argument("respondent_phone", metavar=_NUMBER)
@click.argument("task_description", metavar=localized("TASK", "TAREA"))
@option("--business business_name", "Who is called.", "A quién se llama.", metavar=_NAME)
@option("--name user_name", "Who the booking is for.", "Para quién es la reserva.", metavar=_NAME)
@option("--phone user_phone", "Your callback number.", "Tu número, por si quieren llamarte.", metavar=_NUMBER)
@option(
    "--date appointment_date",
    "The day of the appointment.",
    "El día de la cita.",
    metavar=localized("YYYY-MM-DD", "AAAA-MM-DD"),
)
@option(
    "--time appointment_time",
    "Its time, 24 hours, in the zone of --timezone.",
    "Su hora, en formato de 24 horas, en la zona de --timezone.",
    metavar="HH:MM",
)
@option(
    "--leeway time_preference_text",
    'The time in words, such as "after 5pm".',
    'La hora en palabras, como "después de las cinco".',
    metavar=localized("WORDS", "PALABRAS"),
)
@option("--party party_size", "How many people, 1 to 50.", "Cuántas personas, de 1 a 50.", metavar="N", type=int)
@option(
    "--lang language",
    "The language of the summary and the call.",
    "El idioma del resumen y de la llamada.",
    type=click.Choice(["en", "es"]),
)
@option(
    "--category task_category",
    "What kind of call it is.",
    "De qué tipo es la llamada.",
    type=click.Choice(["restaurant", "clinic", "hotel", "general"]),
    show_default=localized("restaurant with --party, else general", "restaurant con --party; si no, general"),
)
@option(
    "--also additional_instructions",
    "A wish or limit; repeatable.",
    "Un deseo o un límite; se puede repetir.",
    multiple=True,
    metavar=localized("WISH", "DESEO"),
)
@option("--urgent is_urgent", "Say that it is urgent.", "Dice que es urgente.", is_flag=True)
@option(
    "--accept-other-time",
    "Let KallyAI agree to another day or time.",
    "Deja que KallyAI acepte otro día u otra hora.",
    is_flag=True,
)
@option(
    "--timezone",
    "IANA zone of the appointment.",
    "Zona horaria IANA de la cita.",
    metavar=localized("ZONE", "ZONA"),
    show_default=localized("the callee's", "la del número llamado"),
)
@option(
    "--not-before",
    "Call at this time: ISO 8601; without an offset, in the zone of --timezone.",
    "Llama a esta hora: ISO 8601; sin diferencia con UTC, en la zona de --timezone.",
    metavar=localized("TIME", "HORA"),
)
@option(
    "--retries",
    "Call again up to N times, 0 to 3, if busy or no answer.",
    "Vuelve a llamar hasta N veces, de 0 a 3, si está ocupada la línea o nadie contesta.",
    type=int,
    default=0,
    metavar="N",
)
@option(
    "--redial",
    "Call again although the same call was just made.",
    "Vuelve a llamar aunque se acabe de hacer la misma llamada.",
    is_flag=True,
)
@option("--yes -y", "Place the call without a question.", "Hace la llamada sin preguntar.", is_flag=True)
@_about_calls
def call(run: Run, /, *, yes: bool, redial: bool, **arguments: Any) -> None:
    """Have KallyAI call NUMBER and do TASK, and print what was agreed.

    NUMBER begins with + and the country code. TASK says what the call should achieve; it may be read aloud.

    You see the call and are asked whether to place it. It is a real call to another person. The exit code is
    0 if the phone conversation took place or the call is scheduled, 1 if nobody was called, 3 if nobody was reached or
    the call broke off, and 4 if the outcome is not known.

    A call with --not-before, or another attempt, is placed by any kallyai-mcp server of yours that runs then. `cancel`
    cancels it.

    Example: kallyai-mcp call +14155551234 "Reserve a table" --party 4 --date 2027-03-05 --time 19:00 --name Ada
    """
    from kallyai_mcp.cli.call import call

    arguments["task_category"] = arguments["task_category"] or ("restaurant" if arguments["party_size"] else "general")
    arguments["call_language"] = arguments["language"]
    arguments["is_urgent"] = arguments["is_urgent"] or None
    arguments["additional_instructions"] = list(arguments["additional_instructions"]) or None
    run(call, places_calls=True, asked_for=arguments, yes=yes, redial=redial)


@click.command(
    short_help=localized("List your calls, newest first.", "Lista tus llamadas, primero las más recientes."),
    help=in_spanish(
        "Lista tus llamadas, primero las más recientes: cuándo, resultado, a quién, id y el resumen de KallyAI."
    ),
)
@option("--limit", "How many.", "Cuántas.", metavar="N", type=click.IntRange(1, 200), default=20, show_default=True)
@option(
    "--offset",
    "How many of the newest to skip.",
    "Cuántas de las más recientes se saltan.",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    show_default=True,
)
@_about_calls
def calls(run: Run, *, limit: int, offset: int) -> None:
    """List your calls, newest first: when, outcome, who, id, and KallyAI's summary."""
    from kallyai_mcp.cli.past_calls import calls

    run(calls, limit=limit, offset=offset)


@click.command(
    short_help=localized(
        "Show how a call or a list ended; --follow waits.",
        "Muestra cómo terminó una llamada o una lista; --follow espera.",
    ),
    help=in_spanish("Muestra cómo terminó la llamada o la lista de candidatos con este ID, o por dónde va."),
)
@_id
@option("--follow wait", "Wait until the call has ended.", "Espera hasta que la llamada haya terminado.", is_flag=True)
@_about_calls
def show(run: Run, *, id_: str, wait: bool) -> None:
    """Show how the call or the list of candidates with this ID ended, or how far it is."""
    from kallyai_mcp.cli.past_calls import show

    run(show, id_=id_, wait=wait)


@click.command(
    short_help=localized(
        "Cancel a scheduled call, a retry, or a list.", "Cancela una llamada programada, otro intento o una lista."
    ),
    help=in_spanish("""
    Cancela para siempre la llamada programada, el otro intento o la lista con este ID.

    Una llamada en curso no se puede colgar; después de ella no se hace ninguna otra. El código de salida es 1 si no se
    canceló nada.
    """),
)
@_id
@_about_calls
def cancel(run: Run, *, id_: str) -> None:
    """Cancel the scheduled call, the retry, or the list with this ID for good.

    A call in progress can't be hung up; after it, no further call is placed. The exit code is 1 if nothing was
    canceled.
    """
    from kallyai_mcp.cli.past_calls import cancel

    run(cancel, id_=id_)


@click.command(
    short_help=localized("Show who said what in a call.", "Muestra quién dijo qué en una llamada."),
    help=in_spanish("Muestra quién dijo qué en la llamada con este ID."),
)
@_id
@_about_calls
def transcript(run: Run, *, id_: str) -> None:
    """Show who said what in the call with this ID."""
    from kallyai_mcp.cli.past_calls import transcript

    run(transcript, id_=id_)


@click.command(
    short_help=localized(
        "Print a call's appointment as an .ics file.", "Muestra la cita de una llamada como archivo .ics."
    ),
    help=in_spanish("Muestra la cita que hizo la llamada con este ID, como archivo .ics."),
)
@_id
@option(
    "--output -o",
    "Write it into this file.",
    "La escribe en este archivo.",
    metavar=localized("FILE", "ARCHIVO"),
    type=click.Path(dir_okay=False, path_type=Path),
)
@_about_calls
def calendar(run: Run, *, id_: str, output: Path | None) -> None:
    """Print the appointment that the call with this ID made, as an .ics file."""
    from kallyai_mcp.cli.past_calls import calendar

    run(calendar, id_=id_, output=output)
