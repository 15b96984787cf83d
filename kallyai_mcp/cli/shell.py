"""The user's shell, and the line that sets a variable in it."""

import os
import sys
from collections.abc import Mapping
from typing import Literal

Shell = Literal["posix", "fish", "csh", "powershell", "cmd"]


def shell_of(platform: str, environ: Mapping[str, str]) -> Shell:
    """The shell of a user.

    Args:
        platform: The value of `sys.platform`.
        environ: The environment's variables. On Windows, PowerShell adds a folder of the user to PSModulePath, and cmd
            has only the machine's folders there. On other systems, only PowerShell sets the variable.
    """
    shell = environ.get("SHELL", "")
    if platform != "win32" and "PSModulePath" in environ:
        return "powershell"
    if platform == "win32" and not shell:
        folders = environ.get("PSModulePath", "").lower().split(";")
        own = environ.get("USERPROFILE", "").lower()
        return "powershell" if own and any(folder.startswith(own) for folder in folders) else "cmd"
    match shell.rpartition("/")[2]:
        case "fish":
            return "fish"
        case "csh" | "tcsh":
            return "csh"
        case _:
            return "posix"


def set_variable(name: str, value: str, shell: Shell | None = None) -> str:
    """The line that sets an environment variable for the commands that follow.

    Args:
        name: The variable.
        value: Its value; letters, digits, and `:/.-_` only, so that it needs no quoting.
        shell: The shell; None for the shell of this process.
    """
    match shell or shell_of(sys.platform, os.environ):
        case "powershell":
            return f'$env:{name} = "{value}"'
        case "cmd":
            return f"set {name}={value}"
        case "fish":
            return f"set -x {name} {value}"
        case "csh":
            return f"setenv {name} {value}"
        case _:
            return f"export {name}={value}"
