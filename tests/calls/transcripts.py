"""Transcripts in the format of KallyAI's API reference."""

from pathlib import Path

from kallyai_mcp.api.models import Transcript

TURNS = Path(__file__).parent / "turns"


def transcript(*turns: tuple[str, str]) -> Transcript:
    """What `AI` and `HUMAN` said, one second after the other."""
    entries = [
        {"speaker": speaker, "content": words, "timestamp": f"00:00:{second:02}"}
        for second, (speaker, words) in enumerate(turns, 1)
    ]
    return Transcript.model_validate({"entries": entries})
