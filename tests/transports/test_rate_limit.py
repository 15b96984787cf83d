from kallyai_mcp.transports.limits import RateLimiter


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_use_is_allowed_again_when_the_oldest_one_leaves_the_window() -> None:
    clock = Clock()
    limiter = RateLimiter("2/minute", clock=clock)
    waits = [limiter.acquire("caller")]
    clock.now += 20
    waits += [limiter.acquire("caller"), limiter.acquire("caller")]
    clock.now += 40
    waits += [limiter.acquire("caller"), limiter.acquire("caller")]

    assert waits == [0, 0, 40, 0, 20]


def test_callers_do_not_share_a_window() -> None:
    limiter = RateLimiter("1/hour", clock=Clock())

    assert [limiter.acquire(caller) for caller in ("one", "other", "one")] == [0, 0, 3600]


def test_peeking_counts_nothing() -> None:
    limiter = RateLimiter("1/second", clock=Clock())

    waits = [limiter.peek("caller"), limiter.peek("caller"), limiter.acquire("caller"), limiter.peek("caller")]

    assert waits == [0, 0, 0, 1]


def test_a_refused_use_does_not_prolong_the_wait() -> None:
    clock = Clock()
    limiter = RateLimiter("1/day", clock=clock)
    limiter.acquire("caller")
    clock.now += 86_399
    refused = limiter.acquire("caller")
    clock.now += 1

    assert refused == 1
    assert limiter.acquire("caller") == 0
