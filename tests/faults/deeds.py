"""The deeds of the plans, each as a sentence of an agent's life; all of them return a server that still stands."""

from collections.abc import Awaitable, Callable
from functools import partial
from operator import methodcaller
from typing import Protocol

import anyio

from tests.faults.agent import LONG, Agent
from tests.faults.plan import Deed, Step
from tests.faults.world import Server, step_of


class Asking(Protocol):
    """How the agent asks while its server ends."""

    async def __call__(self, agent: Agent, server: Server, *, again: bool) -> None: ...


async def act(agent: Agent) -> Server:
    """Have the agent do its plan's deed."""
    return await _DEEDS[agent.plan.deed](agent)


async def _waits(agent: Agent) -> Server:
    [server] = await agent.ready()
    await agent.ask(server)
    await agent.follow(server)
    return server


async def _times_out(agent: Agent) -> Server:
    [server] = await agent.ready()
    await agent.ask(server, patience=agent.plan.patience)
    await agent.ask(server, again=True)
    await agent.follow(server)
    return server


async def _another_process(agent: Agent) -> Server:
    first, second = await agent.ready(2)
    await agent.ask(first, patience=agent.plan.patience)
    await agent.ask(second, again=True)
    await agent.follow(second)
    return second


async def _twice_at_once(agent: Agent) -> Server:
    [server] = await agent.ready(warm=True)
    return await _at_once(agent, server, server)


async def _same_instant(agent: Agent) -> Server:
    first, second = await agent.ready(2, warm=True)
    return await _at_once(agent, first, second)


async def _at_once(agent: Agent, first: Server, second: Server) -> Server:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.ask, first)
        tasks.start_soon(partial(agent.ask, second, again=True))
    await agent.follow(second)
    return second


async def _asks_once_more(agent: Agent, *, redial: bool = False) -> Server:
    server = await _waits(agent)
    await agent.ask(server, again=True, redial=redial)
    await agent.follow(server)
    return server


async def _impatient(agent: Agent, server: Server, *, again: bool) -> None:
    await agent.ask(server, patience=agent.plan.patience, again=again)
    await anyio.sleep(agent.plan.pause)  # the plan's own: there is nothing to wait for
    await agent.ask(server, again=True)


async def _twice(agent: Agent, server: Server, *, again: bool) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(agent.ask, server, again=again))
        tasks.start_soon(partial(agent.ask, server, again=True))


async def _patient(agent: Agent, server: Server, *, again: bool) -> None:
    await agent.ask(server, again=again)


async def _loses_it(
    agent: Agent,
    end: Callable[[Server], Awaitable[None]],
    *,
    asks: Asking = _patient,
    may_die_twice: bool = False,
) -> Server:
    """Lose the server, and go on with one that ran all the while, or with a new one."""
    server, *others = await agent.ready(2 if agent.plan.witness else 1)
    await _ended_meanwhile(agent, server, end, asks, again=False)
    if may_die_twice and agent.plan.dies_twice:
        await _ended_meanwhile(agent, await agent.world.open(), end, asks, again=True)
    last = others[0] if others else await agent.world.open()
    if agent.plan.then == "asks again":
        await agent.ask(last, again=True)
    else:
        await agent.look(last)
    await agent.follow(last)
    return last


async def _ended_meanwhile(
    agent: Agent, server: Server, end: Callable[[Server], Awaitable[None]], asks: Asking, *, again: bool
) -> None:
    """Ask, and end the server at the plan's moment."""
    plan = agent.plan
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(asks, agent, server, again=again))
        if plan.step is None or again:
            await anyio.sleep(plan.moment)  # the plan's own moment: there is nothing to wait for
        elif plan.step is Step.NO_ROW:
            await anyio.sleep(plan.moment / 300)  # about when the request is being read
        else:
            await agent.world.until(plan.step, LONG)
        await end(server)
        agent.world.note(f"{server.name}: ended")
    steps = [step_of(row) for row in await agent.world.rows()] or [Step.NO_ROW]
    agent.killed_at.append(steps[-1])
    agent.world.note(f"the ledger then: {', '.join(steps)}")


_DEEDS: dict[Deed, Callable[[Agent], Awaitable[Server]]] = {
    Deed.WAITS: _waits,
    Deed.TIMES_OUT: _times_out,
    Deed.TWICE_AT_ONCE: _twice_at_once,
    Deed.ANOTHER_PROCESS: _another_process,
    Deed.SAME_INSTANT: _same_instant,
    Deed.ASKS_ONCE_MORE: _asks_once_more,
    Deed.REDIALS: partial(_asks_once_more, redial=True),
    Deed.KILLED: partial(_loses_it, end=methodcaller("kill"), may_die_twice=True),
    Deed.LEAVES: partial(_loses_it, end=methodcaller("leave")),
    Deed.TERMINATES: partial(_loses_it, end=methodcaller("terminate")),
    Deed.WORKER_KILLED: partial(_loses_it, end=methodcaller("kill"), may_die_twice=True),
    Deed.WORKER_TERMINATED: partial(_loses_it, end=methodcaller("terminate"), may_die_twice=True),
    Deed.WORKER_TIMES_OUT: partial(_loses_it, end=methodcaller("kill"), asks=_impatient, may_die_twice=True),
    Deed.WORKERS_AT_ONCE: partial(_loses_it, end=methodcaller("kill"), asks=_twice, may_die_twice=True),
}
