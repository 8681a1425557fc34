"""Shared by all tests."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("lab")

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup a search takes itself for unattended, and behaves otherwise
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # behind a shell script, `make test &`: then nobody heard of Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "OUTLAST_PLOTS", "0"
)  # a second for every search that a test runs; tests of the plots ask for them

# A machine that runs two tests at once has no say about how long one example may take.
settings.register_profile("outlast", deadline=None)
settings.load_profile("outlast")

_databases = itertools.count()


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """What a test changes in the environment, or what it calls there, is not what the next one finds."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A real PostgreSQL server, started where a test first asks for it."""
    from lab.postgres import Postgres, why_not

    if why := why_not():
        pytest.skip(why)
    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def database(postgres: Any) -> str:
    """The name of an empty schema there."""
    name = f"studies_{next(_databases)}"
    postgres.ask(f"CREATE SCHEMA {name}")
    return name
