"""This machine's time zone."""


def local_timezone() -> str:
    """The IANA name of this machine's time zone; "UTC" when the machine doesn't say."""
    import tzlocal

    try:
        return tzlocal.get_localzone_name() or "UTC"
    except (ValueError, OSError, LookupError):  # what tzlocal raises for settings that contradict each other
        return "UTC"
