"""A fork server that is begun before anybody needs it: taken once, and ended where nobody took it."""

from __future__ import annotations

import pytest

from outlast.executors import fork_request
from outlast.executors.fork_request import begun_ahead, taken_ahead
from outlast.executors.local import LocalExecutor


@pytest.mark.slow
def test_the_first_executor_takes_it_and_nobody_else():
    with begun_ahead():
        begun = fork_request._Ahead.server
        executor = LocalExecutor()
        assert executor._open_fork_server() is begun is not None
        assert taken_ahead() is None
    assert begun.process.poll() is None  # it is the executor's
    executor.close()
    assert begun.process.poll() is not None


@pytest.mark.slow
def test_one_that_nobody_took_is_ended_with_the_block():
    with pytest.raises(KeyError), begun_ahead():
        begun = fork_request._Ahead.server
        raise KeyError
    assert begun is not None and begun.process.poll() is not None
    assert taken_ahead() is None
