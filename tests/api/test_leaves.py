"""What everybody imports is cheap to import."""

import subprocess
import sys


def test_models_errors_and_addresses_bring_no_http_and_nothing_else_of_the_package_along() -> None:
    script = (
        "import sys; import kallyai_mcp.api.models, kallyai_mcp.api.errors, kallyai_mcp.api.urls\n"
        "print(*sorted(name for name in sys.modules if name.split('.')[0] in {'httpx', 'phonenumbers', 'kallyai_mcp'}))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == [
        "kallyai_mcp",
        "kallyai_mcp.api",
        "kallyai_mcp.api.urls",
        "kallyai_mcp.api.errors",
        "kallyai_mcp.api.models",
    ]
