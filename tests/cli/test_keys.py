import pytest
from mcp.server.request_state import InvalidRequestState

from kallyai_mcp.cli.shared_keys import Keys, KeysUnavailableError, request_state_security
from tests.processes import free_port
from tests.redis_server import RedisServer, own_redis, redis_server

__all__ = ["own_redis", "redis_server"]


def test_workers_on_one_redis_open_what_another_sealed_also_when_all_begin_anew(own_redis: RedisServer) -> None:
    one, other = (request_state_security(Keys(own_redis.url)) for _ in range(2))
    sealed = one.codec.seal(b"state")
    assert other.codec.unseal(sealed) == b"state"

    own_redis.kill()
    own_redis.start()
    assert request_state_security(Keys(own_redis.url)).codec.unseal(sealed) == b"state"


def test_a_process_by_itself_opens_only_what_it_sealed() -> None:
    one, other = (request_state_security(Keys()) for _ in range(2))
    sealed = one.codec.seal(b"state")
    assert one.codec.unseal(sealed) == b"state"
    with pytest.raises(InvalidRequestState):
        other.codec.unseal(sealed)


def test_without_redis_nothing_is_sealed_or_opened_and_the_next_question_does_not_wait_for_it() -> None:
    keys = Keys(f"redis://127.0.0.1:{free_port()}/0")
    for _ in range(2):
        with pytest.raises(KeysUnavailableError, match="Redis does not answer"):
            keys()
    with pytest.raises(InvalidRequestState):
        request_state_security(keys).codec.unseal("v1.something")
