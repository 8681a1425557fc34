"""Whole studies on a network filesystem that is late: run, helped, killed and taken over by hosts that see different things.

Real NFS cannot be mounted here; see `test_late_mount.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.hosts import Share
from lab.network import SILENT_S, Cluster, HostLab, claims
from lab.survival import Command, verify
from lab.waiting import until, wait_gone
from outlast.study.attempts import ask_to_end, give_up

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(share: Share) -> Iterator[Callable[..., Cluster]]:
    made: list[Cluster] = []

    def make(**settings: Any) -> Cluster:
        made.append(Cluster.make(share, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _taken_over(study: Cluster, by: HostLab) -> Command:
    """The command by which a host takes over; while the other one died just now, nobody can tell yet and it is refused."""
    began = time.monotonic()
    while True:
        command = by.start()
        until(lambda now=command: now.poll() is not None or len(claims(study)) > 1, "it takes over")
        if command.poll() is None:
            return command
        assert command.code == 4, command.said
        assert time.monotonic() - began < 60, command.said


def _done(cluster: Cluster, *commands: Command, trials: int, interruptions: int = 0) -> None:
    """The study is what an undisturbed one would be: exact budget, no number twice, no two attempts side by side."""
    verdict = verify(cluster.lab, {}, trials=trials, interruptions=interruptions, set_aside=True)
    verdict.faults = [fault for fault in verdict.faults if "study folder: ['lease" not in fault]
    said = "\n".join(f"--- {command.said}" for command in commands)
    assert not verdict.faults, f"{verdict.faults}\n{said}"
    assert (verdict.lost, verdict.twice, verdict.overshoot, verdict.orphans) == (0, 0, 0, 0)


def _hosts_that_ran(cluster: Cluster) -> dict[str, int]:
    found: dict[str, int] = {}
    for trial in cluster.lab.study().trials.values():
        record = json.loads((cluster.lab.paths.trial(trial.number).record).read_text())
        slots = [event.get("slot", "") for event in record["events"]]
        host = "b" if any(slot.startswith("worker:b") for slot in slots) else "a"
        found[host] = found.get(host, 0) + 1
    return found


def test_a_study_is_run_by_one_host_and_helped_by_another(share: Share, cluster: Callable[..., Cluster]) -> None:
    study = cluster(trials=6, epochs=4, seconds=0.3)
    a, b = study.on(share.host("a")), study.on(share.host("b", clock=-90))
    share.be(late=3)
    assert b.start("--version").wait() == 0  # it is up before there is anything to help with
    run = a.start()
    study.lab.wait_for_epoch(0, 0)
    worker = b.start("worker", str(study.lab.folder))
    assert run.wait() == 0
    assert worker.wait() == 0
    _done(study, run, worker, trials=6)
    assert _hosts_that_ran(study).get("b", 0) >= 1


def test_a_host_that_dies_is_replaced_by_another_with_another_clock(
    share: Share, cluster: Callable[..., Cluster]
) -> None:
    study = cluster(trials=4, epochs=5, seconds=0.3, parallel=2)
    a, b = study.on(share.host("a")), study.on(share.host("b", clock=-90))
    share.be(late=3)
    first = a.start()
    study.lab.wait_for_epoch(1, 1)
    refused = b.start()
    assert refused.wait() == 4
    assert "is being run already" in refused.said
    a.lose_everything()
    first.wait()
    second = _taken_over(study, b)
    assert second.wait() == 0, second.said
    _done(study, first, second, trials=4, interruptions=2)
    assert [claim["holder"]["host"] for claim in claims(study)] == ["a", "b"]


def test_attempts_go_on_under_the_coordinator_of_another_host(share: Share, cluster: Callable[..., Cluster]) -> None:
    study = cluster(trials=3, epochs=12, seconds=0.3, parallel=2)
    a, b = study.on(share.host("a")), study.on(share.host("b", clock=90))
    share.be(late=3)
    first = a.start()
    study.lab.wait_for_epoch(1, 0)
    first.kill()  # the coordinator alone: what it started goes on
    second = _taken_over(study, b)
    assert second.wait() == 0, second.said
    _done(study, first, second, trials=3)


def test_of_three_hosts_that_want_a_study_one_gets_it(share: Share, cluster: Callable[..., Cluster]) -> None:
    study = cluster(trials=4, epochs=3, seconds=0.2)
    share.be(late=60)  # as late as NFS may be: what was there from the start has to do
    hosts = [study.on(share.host(name, clock=clock)) for name, clock in (("a", 0), ("b", 90), ("c", -90))]
    runs = [host.start() for host in hosts]
    codes = sorted(run.wait() for run in runs)
    assert codes == [0, 4, 4], [run.said for run in runs]
    _done(study, *runs, trials=4)
    assert len(claims(study)) == 1


def test_handles_that_go_stale_by_the_dozen_cost_nothing(share: Share, cluster: Callable[..., Cluster]) -> None:
    study = cluster(trials=5, epochs=3, seconds=0.2)
    a, b = study.on(share.host("a")), study.on(share.host("b", clock=-90))
    share.be(late=3, estale=0.2)
    run = a.start()
    study.lab.wait_for_epoch(0, 0)
    worker = b.start("worker", str(study.lab.folder))
    assert run.wait() == 0, run.said
    assert worker.wait() == 0, worker.said
    share.be(estale=0.0)
    _done(study, run, worker, trials=5)


def test_a_runner_that_was_given_up_ends_although_its_host_sees_nothing_new_for_a_minute(
    share: Share, cluster: Callable[..., Cluster]
) -> None:
    study = cluster(trials=1, epochs=12, seconds=0.3)
    a = study.on(share.host("a"))
    share.be(late=60)
    run = a.start()
    training = study.lab.wait_for_epoch(0, 1)["pid"]
    assert give_up(study.lab.paths.attempt(0, 1), "no heartbeat", "nowhere").lost
    wait_gone(training)
    share.be(late=3)
    assert run.wait() == 0, run.said
    _done(study, run, trials=1, interruptions=1)


def test_a_host_that_is_cut_off_from_the_share_ends_its_training_before_another_may_begin_it(
    share: Share, cluster: Callable[..., Cluster]
) -> None:
    study, silent = cluster(trials=1, epochs=24, seconds=0.5), 2 * SILENT_S
    host = share.host("a")
    a = study.on(host)
    run = a.start(OUTLAST_SILENT_SECONDS=str(silent))
    training = study.lab.wait_for_epoch(0, 1)["pid"]
    began = time.monotonic()
    host.cut_off()
    wait_gone(training)
    assert time.monotonic() - began < 0.9 * silent
    host.reconnect()
    assert run.wait() == 0, run.said
    _done(study, run, trials=1, interruptions=1)


def test_a_stop_reaches_a_training_whose_host_sees_nothing_new_for_a_minute(
    share: Share, cluster: Callable[..., Cluster]
) -> None:
    study = cluster(trials=1, epochs=60, seconds=0.3)
    a = study.on(share.host("a"))
    share.be(late=60)
    run = a.start()
    training = study.lab.wait_for_epoch(0, 1)["pid"]
    ask_to_end(study.lab.paths.attempt(0, 1), "pruned", grace=2.0)
    wait_gone(training)
    share.be(late=0)
    assert run.wait() == 3, run.said  # its only trial was pruned: a search without a result
    assert [trial.state.value for trial in study.lab.study().trials.values()] == ["pruned"]
