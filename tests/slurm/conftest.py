"""A real SLURM for the tests that ask for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.cluster import Cluster, running_cluster, why_not

pytest.register_assert_rewrite("outlast.testing.executors")

_REAL = {"cluster", "shared_cluster", "slurm_installed"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _REAL & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def slurm_installed() -> None:
    """SLURM can be started here. For tests that call `running_cluster` with settings of their own."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_cluster(slurm_installed: None) -> Iterator[Cluster]:
    """One cluster for all tests of this process."""
    with running_cluster() as started:
        yield started


@pytest.fixture
def cluster(shared_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The shared cluster, idle before and after the test, and named by ``SLURM_CONF``."""
    for key, value in shared_cluster.env.items():
        monkeypatch.setenv(key, value)
    yield shared_cluster
    shared_cluster.reset()
