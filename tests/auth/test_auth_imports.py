import subprocess
import sys
from pathlib import Path

import kallyai_mcp.auth

HEAVY = {"keyring", "filelock", "uvicorn", "starlette", "platformdirs", "httpx2"}


def test_importing_auth_loads_nothing_that_a_cold_start_does_not_need() -> None:
    modules = sorted(path.stem for path in Path(kallyai_mcp.auth.__file__).parent.glob("[!_]*.py"))
    assert "session" in modules
    imports = "; ".join(f"import kallyai_mcp.auth.{name}" for name in modules)
    code = f"import sys; {imports}; print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""
