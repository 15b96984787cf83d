"""What the client does in each kind of run; every function returns a server that still runs."""

from collections.abc import Awaitable, Callable
from functools import partial
from operator import methodcaller
from typing import Protocol

import anyio

from tests.faults.agent import LONG, Agent
from tests.faults.plans import Action, Step
from tests.faults.stdio_system import StdioServer
from tests.faults.system import Server, step_of


class Request(Protocol):
    """How the client asks for its calls while its server ends."""

    async def __call__(self, agent: Agent, server: Server, *, again: bool) -> None: ...


async def act(agent: Agent) -> Server:
    """Do what the agent's plan says."""
    return await _FUNCTIONS[agent.plan.action](agent)


async def _wait(agent: Agent) -> Server:
    [server] = await agent.start()
    await agent.ask(server)
    await agent.follow(server)
    return server


async def _time_out(agent: Agent) -> Server:
    [server] = await agent.start()
    await agent.ask(server, give_up_after=agent.plan.timeout)
    await agent.ask(server, again=True)
    await agent.follow(server)
    return server


async def _ask_another_process(agent: Agent) -> Server:
    first, second = await agent.start(2)
    await agent.ask(first, give_up_after=agent.plan.timeout)
    await agent.ask(second, again=True)
    await agent.follow(second)
    return second


async def _ask_twice_at_once(agent: Agent) -> Server:
    [server] = await agent.start(warm=True)
    return await _ask_both(agent, server, server)


async def _ask_two_servers(agent: Agent) -> Server:
    first, second = await agent.start(2, warm=True)
    return await _ask_both(agent, first, second)


async def _ask_both(agent: Agent, first: Server, second: Server) -> Server:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.ask, first)
        tasks.start_soon(partial(agent.ask, second, again=True))
    await agent.follow(second)
    return second


async def _ask_once_more(agent: Agent, *, redial: bool = False) -> Server:
    server = await _wait(agent)
    await agent.ask(server, again=True, redial=redial)
    await agent.follow(server)
    return server


async def _once(agent: Agent, server: Server, *, again: bool) -> None:
    await agent.ask(server, again=again)


async def _once_more_after_a_timeout(agent: Agent, server: Server, *, again: bool) -> None:
    await agent.ask(server, give_up_after=agent.plan.timeout, again=again)
    await anyio.sleep(agent.plan.pause)  # the plan decides the time: there is no event to wait for
    await agent.ask(server, again=True)


async def _twice(agent: Agent, server: Server, *, again: bool) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(agent.ask, server, again=again))
        tasks.start_soon(partial(agent.ask, server, again=True))


async def _lose_server(
    agent: Agent,
    end: Callable[[Server], Awaitable[None]],
    *,
    request: Request = _once,
    may_end_twice: bool = False,
) -> Server:
    """Ask, lose the server, and go on with one that ran all the time, or with a new one."""
    server, *others = await agent.start(2 if agent.plan.has_standby else 1)
    await _ask_while_it_ends(agent, server, end, request, again=False)
    if may_end_twice and agent.plan.ends_twice:
        await _ask_while_it_ends(agent, await agent.system.open(), end, request, again=True)
    last = others[0] if others else await agent.system.open()
    if agent.plan.afterwards == "asks again":
        await agent.ask(last, again=True)
    else:
        await agent.look(last)
    await agent.follow(last)
    return last


async def _stop_reading(agent: Agent) -> Server:
    """Ask, read nothing more, and lose the server when the outcome may be in the pipe; then redial with a new one."""
    [server] = await agent.start()
    assert isinstance(server, StdioServer)
    server.stop_reading()
    ends = {"is killed": server.kill, "gets SIGTERM": server.terminate, "loses both pipes": server.leave}
    async with anyio.create_task_group() as tasks:
        for _ in range(agent.plan.unread_lists):
            tasks.start_soon(server.list_tools)
        tasks.start_soon(agent.ask, server)
        await agent.system.wait_for(Step.ENDED, LONG)
        await anyio.sleep(agent.plan.end_after / 10)  # the plan decides the time: a full pipe tells nothing
        await ends[agent.plan.unread_end]()
        agent.system.note(f"{server.name}: {agent.plan.unread_end}")
    last = await agent.system.open()
    await agent.ask(last, again=True, redial=True)
    await agent.follow(last)
    return last


async def _ask_while_it_ends(
    agent: Agent, server: Server, end: Callable[[Server], Awaitable[None]], request: Request, *, again: bool
) -> None:
    """Ask, and end the server when the plan says so."""
    plan = agent.plan
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(request, agent, server, again=again))
        if plan.end_at is None or again:
            await anyio.sleep(plan.end_after)  # the plan decides the time: there is no event to wait for
        elif plan.end_at is Step.NO_RECORD:
            await anyio.sleep(plan.end_after / 300)  # about when the server reads the request
        else:
            await agent.system.wait_for(plan.end_at, LONG)
        await end(server)
        agent.system.note(f"{server.name}: ended")
    steps = [step_of(row) for row in await agent.system.rows()] or [Step.NO_RECORD]
    agent.ended_at_steps.append(steps[-1])
    agent.system.note(f"the ledger then: {', '.join(steps)}")


_FUNCTIONS: dict[Action, Callable[[Agent], Awaitable[Server]]] = {
    Action.WAITS: _wait,
    Action.TIMES_OUT: _time_out,
    Action.TWICE_AT_ONCE: _ask_twice_at_once,
    Action.ANOTHER_PROCESS: _ask_another_process,
    Action.SAME_INSTANT: _ask_two_servers,
    Action.ASKS_ONCE_MORE: _ask_once_more,
    Action.REDIALS: partial(_ask_once_more, redial=True),
    Action.KILLED: partial(_lose_server, end=methodcaller("kill"), may_end_twice=True),
    Action.LEAVES: partial(_lose_server, end=methodcaller("leave")),
    Action.TERMINATES: partial(_lose_server, end=methodcaller("terminate")),
    Action.STOPS_READING: _stop_reading,
    Action.WORKER_KILLED: partial(_lose_server, end=methodcaller("kill"), may_end_twice=True),
    Action.WORKER_TERMINATED: partial(_lose_server, end=methodcaller("terminate"), may_end_twice=True),
    Action.WORKER_TIMES_OUT: partial(
        _lose_server, end=methodcaller("kill"), request=_once_more_after_a_timeout, may_end_twice=True
    ),
    Action.WORKERS_AT_ONCE: partial(_lose_server, end=methodcaller("kill"), request=_twice, may_end_twice=True),
}
