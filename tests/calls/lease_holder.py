"""A process that takes a lease, reserves a call, and waits: `python -m tests.calls.lease_holder <place>`.

It prints the worker's name. For each line of stdin it tries to send the request, and prints the result.
"""

import asyncio
import sys
from dataclasses import replace

from kallyai_mcp.api.errors import KallyAIError
from tests.calls.ledgers import opened, system_now
from tests.calls.samples import asked


async def main(place: str) -> None:
    async with opened(place) as ledger:
        worker = await ledger.take_lease()
        record, _ = await ledger.reserve(replace(asked(), worker=worker, placed_at=system_now()), redial=False)
        print(worker, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                print((await ledger.mark_sent(record, service_time=lambda: None)).state.value, flush=True)
            except KallyAIError as error:
                print(error.code, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
