"""This machine's time zone."""


def local_timezone() -> str:
    """The IANA name of this machine's time zone; "UTC" if it can't be found out."""
    import tzlocal

    try:
        return tzlocal.get_localzone_name() or "UTC"
    except (ValueError, OSError, LookupError):  # what tzlocal raises for settings that contradict each other
        return "UTC"
