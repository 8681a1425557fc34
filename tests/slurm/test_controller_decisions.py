"""What a controller decides about its queue, in simulated time: no cluster, no process, no waiting."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from _slots_simulated import SimulatedCluster, SimulatedExecutor

from outlast._system.job_environment import JobFacts
from outlast._system.processes import my_identity
from outlast.config.load import load_study_file
from outlast.core.evidence import Evidence, beat
from outlast.core.plan import Verdict
from outlast.core.states import Cause, StudyState
from outlast.engine.attempts.slots import job_slots
from outlast.engine.cluster import control
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.coordinator.listener import Saying
from outlast.engine.coordinator.round import Holding
from outlast.engine.hold.opening import open_study
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import study_paths
from outlast.engine.record.study_queue import StudyQueue
from outlast.executors.slurm.listing import SlurmJobs
from outlast.executors.slurm.parse import JobLife
from outlast.study import disk_space, requests
from outlast.testing.manual_clock import FakeClock

LIMIT = "AssocMaxSubmitJobLimit\nBatch job submission failed: Job violates accounting/QOS policy"
MISTAKE = "Batch job submission failed: Invalid partition name specified"


class Controlled:
    """A study under a controller."""

    def __init__(self, place: Path, **changes: object) -> None:
        study = {
            "name": "lab", "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "sampler": "random",
            "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 12}, "parallel": 4,
            "slurm": {"mode": "controller"}, **changes,
        }  # fmt: skip
        (place / "study.yaml").write_text(json.dumps(study))
        self.settings = load_study_file(str(place / "study.yaml"))
        self.paths = study_paths(place / "study", self.settings)
        self.clock = FakeClock()
        self.cluster = SimulatedCluster(self.clock, lambda trial: 60.0, latency=1.0)

    def run(
        self,
        holding: Holding = Holding.UNATTENDED,
        make: type[Coordinator] = Coordinator,
        say: Callable[[str], object] = lambda _text: None,
    ) -> Verdict | None:
        """To its rest."""
        queue = StudyQueue(self.paths, self.settings, self.cluster)
        jobs = SlurmJobs(self.cluster, every=60.0, now=self.clock.monotonic)
        executor = SimulatedExecutor(jobs, queue.mark, queue.trial, say=lambda _: None, now=self.clock.monotonic)
        executor.cluster, executor.clock = self.cluster, self.clock
        slots = job_slots(self.settings, "slurm")
        with open_study(self.paths, self.settings) as opened, closing(executor):
            return make(
                self.paths, self.settings, opened, executor, Saying(say), slots=slots, clock=self.clock, holding=holding
            ).run()

    @property
    def in_queue(self) -> int:
        """Jobs that wait or run."""
        return sum(job.life is not JobLife.ENDED for job in self.cluster.queue.values())


def test_a_mistake_halts_the_study_with_slurms_words(tmp_path: Path) -> None:
    controlled = Controlled(tmp_path)
    controlled.cluster.refuse(MISTAKE)
    end = controlled.run()
    assert end is not None and end.state is StudyState.HALTED and "Invalid partition" in end.reason
    assert controlled.cluster.submissions == 1


def test_a_mistake_that_shows_after_a_limit_halts_it_as_well(tmp_path: Path) -> None:
    controlled = Controlled(tmp_path)
    controlled.cluster.refuse(LIMIT, times=4)
    controlled.cluster.refuse(MISTAKE)
    end = controlled.run()
    assert end is not None and end.state is StudyState.HALTED and "Invalid partition" in end.reason
    assert controlled.in_queue == 0


def test_a_limit_delays_trials_and_costs_none(tmp_path: Path) -> None:
    controlled = Controlled(tmp_path)
    controlled.cluster.refuse(LIMIT, times=7)
    end = controlled.run()
    assert end is not None and end.state is StudyState.DONE
    assert (len(controlled.cluster.spans), controlled.cluster.submissions) == (12, 19)


def test_answers_that_were_lost_cost_no_trial_and_start_none_twice(tmp_path: Path) -> None:
    controlled = Controlled(tmp_path)
    for accepted in (True, False, True, False):
        controlled.cluster.lose_answer(accepted=accepted)
    end = controlled.run()
    assert end is not None and end.state is StudyState.DONE
    assert len(controlled.cluster.spans) == 12


def test_a_batch_is_as_large_as_the_slots_also_under_a_pruner(tmp_path: Path) -> None:
    controlled = Controlled(
        tmp_path, parallel=12, pruner="median", slurm={"mode": "controller", "barrier": True}, budget={"trials": 24}
    )
    end = controlled.run()
    assert end is not None and end.state is StudyState.DONE
    assert len({begin for begin, _ in controlled.cluster.spans}) == 2


@pytest.mark.parametrize("begins", [0.0, 40.0, 90.0])
def test_a_disk_that_is_full_for_a_while_holds_a_controller_up_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: float
) -> None:
    controlled = Controlled(tmp_path)
    clock = controlled.clock

    def lacking(*_disk: int) -> str | None:
        return "only 0.4 MB are free" if begins <= clock.seconds < begins + 35 else None

    monkeypatch.setattr(disk_space, "no_room", lacking)
    end = controlled.run()
    assert end is not None and end.state is StudyState.DONE
    assert len(controlled.cluster.spans) == 12
    starts = [begin for begin, _ in controlled.cluster.spans]
    assert not any(begins + 2 <= begin < begins + 35 for begin in starts), "and nothing begins meanwhile"
    assert max(end for _, end in controlled.cluster.spans) <= 200 + 35 + 10, "a slot is not idle for longer than that"


def test_a_run_that_somebody_watches_comes_to_rest_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "no_room", lambda *disk: "only 0.4 MB are free")
    end = Controlled(tmp_path).run(Holding.WATCHED)
    assert end is not None and end.state is StudyState.PAUSED and "free space" in end.reason


def test_a_person_s_stop_ends_a_search_that_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    controlled = Controlled(tmp_path)

    def lacking(*_disk: int) -> str | None:
        if controlled.clock.seconds > 20 and not requests.pending(controlled.paths):
            requests.drop(controlled.paths, "stop", drain=False, now=False)
        return "only 0.4 MB are free"

    monkeypatch.setattr(disk_space, "no_room", lacking)
    end = controlled.run()
    assert end is not None and end.state in (StudyState.PAUSED, StudyState.STOPPED)


def test_a_controller_leaves_after_the_round_in_which_its_walltime_runs_out(tmp_path: Path) -> None:
    controlled, said = Controlled(tmp_path), list[str]()

    class Job(JobFacts):
        def is_almost_over(self, within: float) -> bool:
            return controlled.cluster.submissions > 0  # SLURM was slow to take them

    class Controller(control._Controller):
        job = Job("7", "7")

    assert controlled.run(make=Controller, say=said.append) is None
    assert controlled.cluster.submissions == 4 and controlled.clock.seconds == 0.0, "nothing was waited for"
    assert said == ["this job's walltime is almost over: the next coordinator takes over"]


def test_a_controller_that_is_told_to_leave_says_so_outside_the_handler(tmp_path: Path) -> None:
    controlled, said, within = Controlled(tmp_path), list[str](), list[list[str]]()

    class Controller(control._Controller):
        def round(self) -> Verdict | None:
            end = super().round()
            self.told_to_leave(signal.SIGTERM, None)
            within.append(list(said))
            return end

    assert controlled.run(make=Controller, say=said.append) is None
    assert within == [[]]
    assert said == ["this controller was told to leave: the next coordinator takes over"]


class OneOddJob(SimulatedCluster):
    """What happens to trial 3's first job is told by the test; it runs on another host, which shares the folder."""

    happens: Callable[[OneOddJob, str], None]
    odd = ""
    attempt = Path()
    woken_at = 0.0

    def _accept(self, script: str) -> str:
        job = super()._accept(script)
        if not self.odd and self.queue[job].comment.endswith(":0003.1"):
            self.odd, self.attempt = job, Path(script).parent
            self._tasks.pop()
        return job

    def catch_up(self) -> None:
        super().catch_up()
        if self.odd:
            self.happens(self, self.odd)

    def claim(self) -> None:
        """A runner on another node begins."""
        alive = self.attempt / "alive"
        alive.write_bytes(beat(0, 0.0, ""))
        told = {**my_identity().to_json(), "host": "n1", "alive": [0, alive.stat().st_ino]}
        (self.attempt / "started.json").write_text(json.dumps(told))
        self.set(self.odd, "RUNNING")


def odd_job(tmp_path: Path, happens: Callable[[OneOddJob, str], None]) -> list[Cause]:
    """What the attempts of trial 3 ended for."""
    controlled = Controlled(tmp_path)
    cluster = OneOddJob(controlled.clock, lambda trial: 60.0, latency=1.0)
    cluster.happens, controlled.cluster = happens, cluster
    end = controlled.run()
    assert end is not None and end.state is StudyState.DONE
    return [outcome.cause for outcome in read_study(controlled.paths).trials[3].ended]


def test_the_controller_that_submitted_a_job_hears_why_it_ended(tmp_path: Path) -> None:
    def is_cancelled(cluster: OneOddJob, job: str) -> None:
        if cluster.queue[job].state == "PENDING":
            cluster.claim()
            evidence = Evidence(signal=signal.SIGTERM, stop_reason="preempted", terminated=True)
            (cluster.attempt / "exit.json").write_text(json.dumps(evidence.to_json()))
            cluster.set(job, "CANCELLED by 0")

    assert odd_job(tmp_path, is_cancelled) == [Cause.STOPPED, Cause.COMPLETED]


def test_a_job_that_is_suspended_for_long_is_waited_for(tmp_path: Path) -> None:
    def is_suspended(cluster: OneOddJob, job: str) -> None:
        state = cluster.queue[job].state
        if state == "PENDING":
            cluster.claim()
        elif state == "RUNNING":
            cluster.set(job, "SUSPENDED")
            cluster.woken_at = cluster._clock.seconds + 1800.0
        elif state == "SUSPENDED" and cluster._clock.seconds > cluster.woken_at:
            evidence = Evidence(exit_code=0, scores={"score": 1.0})
            (cluster.attempt / "exit.json").write_text(json.dumps(evidence.to_json()))
            cluster.set(job, "COMPLETED")

    assert odd_job(tmp_path, is_suspended) == [Cause.COMPLETED]
