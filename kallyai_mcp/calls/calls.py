"""The calls of this program: tools use it to place calls and to find out how they ended.

It reads calls from the ledger, so every process knows about every call.
"""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Concatenate, Self

from kallyai_mcp.api.models import Call, Statistics
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.delivery import Delivery
from kallyai_mcp.calls.duplicates import may_have_reached_nobody
from kallyai_mcp.calls.earlier_call import EarlierCalls
from kallyai_mcp.calls.errors import LedgerUnavailableError, LookFirstError
from kallyai_mcp.calls.events import (
    Cancel,
    CancelList,
    Checked,
    ListRequested,
    RemoveOptOut,
    Requested,
)
from kallyai_mcp.calls.findings import look_again
from kallyai_mcp.calls.fingerprint import older_fingerprint
from kallyai_mcp.calls.going_on import read_while_going_on
from kallyai_mcp.calls.ledger import lists, opt_outs, rows, search_index
from kallyai_mcp.calls.ledger.base import Params, Result, Row, Tx
from kallyai_mcp.calls.new_call import new_record, refusals_noted
from kallyai_mcp.calls.news import News, news_of
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallRequest
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.calls.search_words import Search, SearchResult
from kallyai_mcp.calls.tracking_ids import new_tracking_id
from kallyai_mcp.calls.worker import Worker
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.logs.request_ids import about_call


class Calls:
    """Places calls and lists of calls, and reports how they went, with a worker that runs them.

    Use it as an async context manager, whose exit stops the worker; its arguments are those of
    `Worker`.

    Async methods raise `NotSignedInError` when nobody is signed in, and `LedgerUnavailableError`
    when the ledger can't be used. Then no call was placed. `wait` and `wait_for_list` raise
    neither; `place_list` has its account.

    Attributes:
        places_due: Whether a call for later can be asked for.
    """

    def __init__(
        self, context: CallContext, *, works_alone: bool = True, is_read_only: bool = False
    ) -> None:
        self.context = context
        self.timing = context.timing
        self.clock = context.clock
        self.delivery = Delivery(context)
        self.places_due = works_alone and not is_read_only
        self._worker = Worker(context, works_alone=works_alone, is_read_only=is_read_only)

    async def __aenter__(self) -> Self:
        await self._worker.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._worker.__aexit__(exc_type, exc, traceback)

    async def account_of_request(self) -> AccountKey:
        """The account of this request, for which the worker looks for work now.

        Raises `NotSignedInError` when there is none.
        """
        account = await self.context.account()
        self._worker.look_soon(account)
        return account

    async def precheck(self, request: CallRequest, *, asked_by: str | None = None) -> CallRecord:
        """The record that `place` would return now, for the question to the user; `place` checks
        again.

        A refusal is written into the audit trail, with `asked_by`: the client's own name and
        version.

        Raises:
            PolicyError: A setting refuses the call.
        """
        async with self._asked_for(request, Consent(asked_by, "not_needed")) as new:
            if (running := self._worker.same_running(new)) is not None:
                return running
            return await self.context.ledger.ask(new.account, self._check_of(new, request))

    async def place(self, request: CallRequest, *, consent: Consent = NOT_LOOKED_AT) -> CallRecord:
        """Start or schedule a call, unless it is a duplicate (rule 6 of placing a call); returns
        its record.

        Without `consent`, none is checked. Before the same call is placed again after one that
        reached nobody, KallyAI is asked once more about that one. If it reached somebody after all,
        it is the answer.

        Raises:
            PolicyError: A setting refuses the call.
            ConsentOutdatedError: The consent no longer fits; ask the user again.
            KallyAIError: KallyAI does not say whether the earlier call reached somebody (code
                `earlier_call_unclear`).
        """
        earlier = EarlierCalls(self.context)
        async with self._asked_for(request, consent) as new:
            if (running := self._worker.same_running(new)) is not None:
                return running
            since = self._since_agreed(request.arrived, consent)
            requested = Requested(self._check_of(new, request), consent)
            while True:
                try:
                    requested = replace(requested, looked_at=earlier.looked_at)
                    record = await self._reserve_and_start(requested, since)
                    break
                except LookFirstError as first:
                    await earlier.look_at(first.record)
        if record.is_new and not record.is_active:
            self._worker.wake()  # it may be due soon
        if record.tracking_id != earlier.looked_at:  # else KallyAI was just asked about it
            record = await self._looked_again(record)
        return record

    async def _reserve_and_start(self, requested: Requested, since: Stopwatch) -> CallRecord:
        """Reserve a call, and start it if it is due now; its time runs `since` the request."""
        new = requested.check.requested
        with self._worker.reserving(new.account, new.tracking_id):
            new = replace(new, worker=await self._worker.leased_name())
            event = replace(requested, check=replace(requested.check, requested=new))
            record = await self.context.ledger.handle(new.account, event)
            about_call(record.tracking_id)
            if record.is_new and record.is_active:
                self._worker.start(replace(record, is_new=False), since)
        return record

    def _since_agreed(self, arrived: Stopwatch, consent: Consent) -> Stopwatch:
        """Runs since the user has agreed to a call, or since its request has `arrived`.

        A form may be answered long after that. The time is started before the ledger is used,
        because the machine may be suspended meanwhile.
        """
        if consent.how == "form":
            return Stopwatch(self.clock)
        return arrived

    def _check_of(self, new: CallRecord, request: CallRequest) -> Checked:
        last_delivered = self.delivery.last_delivered(new)
        older = None if request.asked is None else older_fingerprint(request.asked)
        return Checked(new, request.redial, request.arrived, last_delivered, older)

    async def find(self, id_: str) -> CallRecord | None:
        """The account's record with this `tracking_id` or `call_id`; None when there is none.

        KallyAI is asked once more when it may say more about the call (`CallRecord.may_change`).
        """
        record = await self._read(rows.find, id_)
        if record is None:
            return None
        about_call(record.tracking_id)
        return await self._looked_again(record)

    async def wait(self, record: CallRecord, seconds: float) -> CallRecord:
        """Wait until a call has ended, at most `seconds`; returns the record as it was read last.

        A call that is scheduled for later than that is not waited for.
        """
        until = self.clock.now() + timedelta(seconds=seconds)
        found = record
        with self.clock.move_on_after(seconds):
            while found.is_awaited(until):
                found = await self._after_some_time(found)
        run = self._worker.run_of(found)
        if run is not None and found.is_open:  # the wait ended before the call did
            found = run.record
        return replace(found, is_new=record.is_new, last_call=record.last_call)

    async def _after_some_time(self, found: CallRecord) -> CallRecord:
        """A call after its run here has ended; else after a pause, in which another process may
        have ended it.
        """
        run = self._worker.run_of(found)
        if run is None:
            await self.clock.sleep(self.timing.reread_others)
        else:
            await run.has_ended.wait()
            if run.end is not None:
                return run.end
        with suppress(LedgerUnavailableError):  # it is read again later
            return await self._read_call_again(found)
        return found

    async def as_it_is_now(self, found: CallRecord | CallList) -> CallRecord | CallList:
        """A call or a list as it is known at this moment; unchanged while the ledger can't be read.

        A call that this program runs takes no read of the ledger.
        """
        if isinstance(found, CallRecord):
            run = self._worker.run_of(found)
            if run is not None:
                return run.record
        with suppress(LedgerUnavailableError):
            if isinstance(found, CallRecord):
                return await self._read_call_again(found)
            return await self._read_again(found) or found
        return found

    async def reported(self, record: CallRecord) -> Call | None:
        """A call that goes on, as KallyAI reported it last; None if it did not."""
        run = self._worker.run_of(record)
        if run is not None:
            return run.reported
        return await read_while_going_on(record, self.context)

    def schedule_for(self, not_before: datetime | None, retries: int) -> Schedule:
        """The schedule of a call that is due at `not_before` (aware; None for at once)."""
        if not_before is None:
            return Schedule(attempts=1 + retries)
        # A sum in a zone with summer time would ignore the change of the clocks.
        due = not_before.astimezone(UTC)
        return Schedule(due, due + timedelta(seconds=self.timing.place_within), 1 + retries)

    async def find_known(self, account: AccountKey, id_: str) -> CallRecord | None:
        """The account's record with this `tracking_id` or `call_id`, as the ledger has it."""
        return await self.context.ledger.read(rows.find, account, id_)

    async def related_calls(self, account: AccountKey, number: str) -> list[CallRecord]:
        """The newest calls to a number, and the newest about a booking (`rows.list_related`)."""
        return await self.context.ledger.read(rows.list_related, account, number)

    async def history(self, newest: int, call_ids: Collection[str]) -> rows.History:
        """The account's `newest` records, and those of these calls that have an outcome."""
        return await self._read(rows.history, newest, call_ids)

    async def _read(
        self,
        work: Callable[Concatenate[Tx, AccountKey, Params], Result],
        *args: Params.args,
        **more: Params.kwargs,
    ) -> Result:
        """What `work` reads in the ledger about the account of this request."""
        account = await self.account_of_request()
        return await self.context.ledger.read(work, account, *args, **more)

    async def calls_about(self, search: Search) -> SearchResult:
        """The account's calls that have all words of a search, the newest first."""
        return await self._read(search_index.find_about, search)

    async def unsettled_calls(self) -> list[CallRecord]:
        """The calls that go on, wait, or are unknown, and planned ones that were not placed."""
        return await self._read(rows.list_unsettled)

    async def news(self, told_already: Collection[str]) -> News:
        """What the next result tells of planned calls, apart from those that are told already."""
        planned = await self._read(rows.list_untold_plans)
        return news_of(planned, {*told_already, *self.delivery.being_delivered})

    async def unfinished_lists(self) -> list[CallList]:
        """The lists that go on, or wait for the user, the newest first."""
        return await self._read(lists.list_unfinished)

    async def audit_trail(self, limit: int) -> list[Row]:
        """The newest entries of the account's audit trail, with whole numbers (`rows.audit`)."""
        return await self._read(rows.audit, limit)

    async def opt_outs(self) -> list[OptOut]:
        """The account's numbers that asked not to be called again, the newest first."""
        return await self._read(opt_outs.list_opt_outs)

    async def remove_opt_out(self, number: str) -> OptOut | None:
        """Let a number (E.164) be called again; returns its opt-out, None if it had none."""
        account = await self.account_of_request()
        return await self.context.ledger.handle(account, RemoveOptOut(number))

    async def same_list(self, requested: CallList) -> CallList | None:
        """The list that answers a request for another one; None if it is to be begun."""
        return await self.context.ledger.read(lists.find_same_list, requested)

    async def list_of(self, requested: CallList, call_id: str) -> CallList | None:
        """The list like `requested` with the call of this id; None when there is none."""
        return await self.context.ledger.read(lists.find_list_of, requested, call_id)

    async def last_calls(self, requested: CallList) -> tuple[datetime | None, ...]:
        """When each candidate that may be called was called last; None for never."""
        return await self.context.ledger.read(lists.last_calls, requested)

    async def check_list(self, requested: CallList, *, asked_by: str | None) -> None:
        """Raise `PolicyError` if settings refuse all next calls of a list; the audit trail has the
        first one, as in `precheck`.
        """
        next_one, zone = requested.to_come[0], requested.timezones[0]
        first = CallRecord.new(next_one, requested.account, self.clock.now(), zone)
        async with refusals_noted(self.context, first, Consent(asked_by, "not_needed")):
            refusal = await self.context.ledger.read(lists.refusal_of_all, requested)
            if refusal is not None:
                raise refusal

    async def find_list(self, list_id: str) -> CallList | None:
        """The account's list with this id; None when there is none.

        If it has stopped at an unknown outcome, KallyAI is asked once more.
        """
        found = await self._read(lists.find_list, list_id)
        if found is None or found.stop_reason is not StopReason.UNKNOWN:
            return found
        for record in found.records[-1:]:  # none if this version can't read it
            await self._looked_again(record)
        return await self._read_again(found)

    async def _read_call_again(self, found: CallRecord) -> CallRecord:
        """A call as the ledger has it now; as it was if its record is gone."""
        return await self.find_known(found.account, found.tracking_id) or found

    async def _read_again(self, found: CallList) -> CallList | None:
        """A list as the ledger has it now; None if it is gone."""
        return await self.context.ledger.read(lists.find_list, found.account, found.list_id)

    async def wait_for_list(self, call_list: CallList, seconds: float) -> CallList:
        """Wait until a list has stopped and its calls have ended, at most `seconds`; returns it as
        read last.
        """
        with self.clock.move_on_after(seconds):
            while call_list.is_open:
                await self.clock.sleep(self.timing.reread_others)
                with suppress(LedgerUnavailableError):
                    call_list = await self._read_again(call_list) or call_list
        return call_list

    async def place_list(
        self,
        requested: CallList,
        consent: Consent,
        arrived: Stopwatch,
        usage: Statistics | None = None,
    ) -> tuple[CallList, bool]:
        """Start a list, or let a stopped one go on; arguments, results, and errors as in
        `list_requests.request_list`. The request has `arrived` so long ago.

        If its last call was not placed, KallyAI is asked first whether the one before reached
        somebody after all.
        """
        since = self._since_agreed(arrived, consent)
        for record in filter(may_have_reached_nobody, requested.before_refused):
            await look_again(record, self.context)
        ids = tuple(new_tracking_id() for _ in range(self.timing.at_once))
        worker = await self._worker.leased_name()
        with self._worker.reserving(requested.account, *ids):
            event = ListRequested(requested, consent, worker, ids, usage, since.longest())
            found, is_new = await self.context.ledger.handle(requested.account, event)
            for record in found.records:
                if record.tracking_id in ids:
                    self._worker.start(record, since)
        return found, is_new

    async def cancel(self, record: CallRecord) -> CallRecord:
        """Cancel a call; an attempt whose request has left goes on, and is the last one.

        Returns it as it is then.
        """
        await self.context.ledger.handle(record.account, Cancel(record.tracking_id))
        return await self._read_call_again(record)

    async def cancel_list(self, found: CallList) -> CallList:
        """Stop a list for good, and cancel its calls that were not sent; returns it as it is
        then.
        """
        await self.context.ledger.handle(found.account, CancelList(found.list_id))
        return await self.find_list(found.list_id) or found

    @asynccontextmanager
    async def _asked_for(self, request: CallRequest, consent: Consent) -> AsyncIterator[CallRecord]:
        """A context with the record of a new call, which notes a setting's refusal."""
        new = new_record(request, await self.account_of_request(), self.clock.now())
        about_call(new.tracking_id)
        async with refusals_noted(self.context, new, consent):
            yield new

    async def _looked_again(self, record: CallRecord) -> CallRecord:
        """`record` after KallyAI was asked once more about it, if it may change and the ledger can
        be used.
        """
        with suppress(LedgerUnavailableError):
            if record.may_change:
                await look_again(record, self.context)
                return await self._read_call_again(record)
        return record
