"""The modules that every package may import are cheap to import."""

import subprocess
import sys


def test_models_errors_and_urls_import_no_http_library_and_only_leaves_of_the_package() -> None:
    script = (
        "import sys; import kallyai_mcp.api.models, kallyai_mcp.api.errors, kallyai_mcp.urls\n"
        "roots = {'httpx2', 'phonenumbers', 'kallyai_mcp'}\n"
        "print(*sorted(name for name in sys.modules if name.split('.')[0] in roots))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == [
        "kallyai_mcp",
        "kallyai_mcp.api",
        "kallyai_mcp.api.errors",
        "kallyai_mcp.api.models",
        "kallyai_mcp.urls",
    ]
