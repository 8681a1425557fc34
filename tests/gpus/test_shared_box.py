"""Several searches on one box: real processes, real locks, a fake driver."""

from __future__ import annotations

import json
import os
import signal

import pytest

from lab.box import Box
from lab.fake_driver import GB, STRANGER
from lab.waiting import until
from outlast._system.card_locks import holders_of
from outlast._system.processes import identity_of
from outlast.engine.record.examine import read_study
from outlast.study.layout import StudyPaths

pytestmark = pytest.mark.slow


def test_two_searches_on_four_cards_never_put_two_trials_on_one(box: Box) -> None:
    cards = box.driver.cards(4)
    runs = [box.start(name, trials=12, parallel=4) for name in ("one", "two")]
    box.finish(*runs)
    assert box.most_at_once() == dict.fromkeys(cards, 1)
    assert [box.status(name)["counts"]["complete"] for name in ("one", "two")] == [12, 12]
    begun = [line for line in box.audit if line["event"] == "begin"]
    assert len(begun) == 24 and all(len(line["cards"]) == 1 for line in begun)


def test_halves_pack_two_trials_on_a_card(box: Box) -> None:
    box.driver.cards(1)
    end = box.place / "end"
    run = box.start("halves", trials=6, parallel=4, resources={"gpus": 0.5}, arguments=("--until", str(end)))
    until(lambda: len(box.audit) == 2, "two of them run")
    end.touch()
    box.finish(run)
    assert box.most_at_once() == {"GPU-0000": 2}


def test_a_trial_of_two_cards_sees_both_and_shares_neither(box: Box) -> None:
    box.driver.cards(4)
    runs = [box.start("pairs", trials=4, parallel=2, resources={"gpus": 2}), box.start("single", trials=4, parallel=2)]
    box.finish(*runs)
    assert set(box.most_at_once().values()) == {1}
    assert {len(line["cards"]) for line in box.audit} == {1, 2}


def test_a_card_of_others_is_skipped_and_the_session_s_limit_is_kept(box: Box) -> None:
    box.driver.used(4, {1: (STRANGER, 11 * GB)})
    box.finish(box.start("limited", trials=6, parallel="auto", environment={"CUDA_VISIBLE_DEVICES": "1,3"}))
    assert set(box.most_at_once()) == {"GPU-3333"}
    assert box.said("limited").count("is used by others") == 1
    assert f"GPU 1 is used by others (pid {STRANGER}, 11 GB): skipped; taken when free" in " ".join(
        box.said("limited").split()
    )


def test_a_later_search_gets_its_share_of_the_cards(box: Box) -> None:
    cards = box.driver.cards(2)
    end = box.place / "end"
    first = box.start("first", trials=12, parallel=2, arguments=("--seconds", "0.2"))
    until(lambda: len(box.audit) >= 2, "the first search holds both cards")
    second = box.start("second", trials=4, parallel=2, arguments=("--until", str(end)))
    until(lambda: len({line["study"] for line in box.audit}) == 2, "the second search got a card")
    end.touch()
    box.finish(first, second)
    assert box.most_at_once() == dict.fromkeys(cards, 1)


def test_a_killed_coordinator_s_trial_keeps_its_card_and_is_taken_over(box: Box) -> None:
    [card] = box.driver.cards(1)
    end = box.place / "end"
    run = box.start("survives", trials=2, parallel=1, arguments=("--until", str(end)))
    until(lambda: box.audit, "a training runs")
    run.kill()
    run.wait()
    assert len(holders_of(str(box.driver.locks), card)) == 1
    again = box.start("survives", trials=2, parallel=1, arguments=("--until", str(end)))
    until(lambda: "taken over" in box.said("survives"), "the next run takes it over")
    end.touch()
    box.finish(again)
    assert box.most_at_once() == {card: 1} and holders_of(str(box.driver.locks), card) == []
    assert [line["trial"] for line in box.audit] == [0, 0, 1, 1]


def test_a_killed_runner_s_card_is_given_on_once_its_training_is_dead(box: Box) -> None:
    [card] = box.driver.cards(1)
    end = box.place / "end"
    run = box.start("killed", trials=1, parallel=1, arguments=("--until", str(end)), trial={"grace": "1s"})
    until(lambda: box.audit, "a training runs")
    first = box.audit[0]
    started = box.place / "killed/studies/killed/trials/0000/attempts/1/started.json"
    runner = json.loads(started.read_text())["pid"]
    assert [holder.pid for holder in holders_of(str(box.driver.locks), card)] == [runner]
    os.kill(runner, signal.SIGKILL)
    until(lambda: len(box.audit) == 2, "the next attempt runs")
    assert identity_of(first["pid"]) is None
    end.touch()
    box.finish(run)
    assert [(line["event"], line["attempt"]) for line in box.audit] == [("begin", 1), ("begin", 2), ("end", 2)]


def test_out_of_memory_beside_others_is_tried_again_on_another_card(box: Box) -> None:
    cards, crowded = box.driver.cards(2), box.place / "crowded"
    run = box.start("beside", trials=1, parallel=1, arguments=("--crowded", str(crowded)))
    until(lambda: box.audit, "a training runs")
    first = box.audit[0]["cards"]
    box.driver.used(2, {cards.index(first[0]): (STRANGER, 30 * GB)})
    (box.place / "crowded.new").write_text(first[0])
    (box.place / "crowded.new").rename(crowded)
    box.finish(run)
    assert [line["cards"] for line in box.audit if line["event"] == "begin"] == [
        first,
        [c for c in cards if c not in first],
    ]
    record = json.loads((box.place / "beside/studies/beside/trials/0000/trial.json").read_text())
    opened, ended = [[e for e in record["events"] if e["kind"] == kind] for kind in ("attempt_opened", "attempt_ended")]
    assert opened[0]["gpus"] == first and ended[0]["cause"] == "gpu_out_of_memory"
    assert ended[0]["reason"].startswith(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.15 GiB; "
        "others held 30.0 GB there: another card next time"
    )


def test_out_of_memory_alone_on_the_card_is_infeasible_or_tried_smaller(box: Box) -> None:
    box.driver.cards(1)
    settings = {"parameters": {"x": {"min": 0.0, "max": 1.0}, "batch": {"value": 64}}, "arguments": ("--largest", "32")}
    box.finish(box.start("infeasible", trials=1, parallel=1, **settings), code=3)  # nothing came of it
    box.finish(box.start("smaller", trials=1, parallel=1, trial={"oom": {"shrink": "batch"}}, **settings))
    assert box.status("infeasible")["counts"]["infeasible"] == 1 and box.status("smaller")["counts"]["complete"] == 1
    assert [line["batch"] for line in box.audit if line["event"] == "begin"] == [64, 64, 32]
    best = (box.place / "smaller/studies/smaller/best_config.yaml").read_text()
    assert "batch: 32" in best and "batch: 64" not in best


def test_a_worker_locks_the_cards_of_its_trials_too(box: Box) -> None:
    cards = box.driver.cards(2)
    end = box.place / "end"
    run = box.start("helped", trials=8, parallel=1, arguments=("--until", str(end)))
    until(lambda: box.audit, "a training runs")
    worker = box.work("helped", parallel=4)
    until(lambda: len(box.audit) == 2, "the worker has a training, too")
    end.touch()
    box.finish(worker, run)
    assert box.most_at_once() == dict.fromkeys(cards, 1)
    assert " begins\n" in box.said("helped") and " ended\n" in box.said("helped")  # the worker's own words


def test_a_job_s_cards_are_spread_over_more_trials_than_there_are_cards(box: Box) -> None:
    cards, end = box.driver.cards(3), box.place / "end"
    box.write("halves", trials=4, parallel=4, arguments=("--until", str(end)))
    task = box.task("halves", parallel=4, cards=cards)
    until(lambda: len(box.audit) == 4, "four trainings run")
    end.touch()
    box.finish(task)
    assert box.most_at_once() == {cards[0]: 2, cards[1]: 1, cards[2]: 1}


def test_out_of_memory_beside_another_trial_of_the_job_is_not_infeasible(box: Box) -> None:
    cards, both, end = box.driver.cards(1), box.place / "both", box.place / "end"
    box.write(
        "tight", trials=2, parallel=2, parameters={"x": {"value": 0.5}, "batch": {"values": [16, 64]}}, sampler="grid",
        arguments=("--largest", "32", "--crowded", str(both), "--until", str(end)),
    )  # fmt: skip
    task = box.task("tight", parallel=2, cards=cards)
    until(lambda: len(box.audit) == 2, "both hold memory")
    both.touch()
    until(lambda: sum(line["event"] == "end" for line in box.audit) == 3, "the large one tried three times")
    end.touch()
    box.finish(task)
    failed = next(box.place.glob("tight/studies/tight/trials/*/error.log")).read_text()
    assert "others held 4.0 GB there, 3 times" in failed, "beside another it failed: that says nothing of its values"


def test_a_need_beyond_the_box_is_refused_before_anything_is_written(box: Box) -> None:
    box.driver.cards(2)
    box.finish(box.start("greedy", trials=1, parallel=1, resources={"gpus": 4}), code=2)
    assert "a trial needs 4 GPUs; this session may use only 2" in box.said("greedy")
    assert not (box.place / "greedy/studies").exists()


def test_the_search_ends_when_its_gpu_hours_are_used_up_and_says_what_for(box: Box) -> None:
    box.driver.cards(2)
    budget = {"gpu_hours": 2 / 3600}
    box.finish(box.start("spent", trials=0, parallel=2, budget=budget, arguments=("--seconds", "0.3")))
    found = box.status("spent")
    assert (found["state"], found["reason"]) == ("done", "the GPU hour budget is used up")
    hours = found["hours"]
    assert hours["unit"] == "gpu" and 3600 * hours["used"] >= 2
    trials = read_study(StudyPaths.at(box.place / "spent/studies/spent")).trials.values()
    seconds = sorted(outcome.seconds for trial in trials for outcome in trial.ended)
    assert sum(seconds[:-2]) < 2, "what ran when they were used up was the last, two at most"
    assert hours["complete"] + hours["wasted"] + hours["open"] == pytest.approx(hours["used"], abs=2e-4)
    box.finish(
        box.start("spent", trials=0, parallel=2, budget=budget, arguments=("--seconds", "0.3"))
    )  # again: nothing to do
    assert box.status("spent")["hours"] == hours


def test_a_running_trial_is_stopped_when_it_has_used_the_gpu_hours_up(box: Box) -> None:
    box.driver.cards(1)
    long = box.start("long", trials=0, parallel=1, budget={"gpu_hours": 1 / 3600}, arguments=("--until", "never"))
    box.finish(long, code=3)  # they are used up without a result
    found = box.status("long")
    assert (found["state"], found["counts"]["interrupted"]) == ("halted", 1)
    assert 1 <= 3600 * found["hours"]["open"] < 60


def test_a_trial_that_is_lost_with_its_runner_has_used_its_card_until_the_last_heartbeat(box: Box) -> None:
    box.driver.cards(1)
    run = box.start("lost", trials=1, parallel=1, arguments=("--until", "go"))
    claim = box.place / "lost/studies/lost/trials/0000/attempts/1/started.json"
    until(claim.exists, "a training")
    until(lambda: 3600 * box.status("lost")["hours"]["open"] >= 5, "a heartbeat")
    os.kill(json.loads(claim.read_text())["pid"], signal.SIGKILL)
    (box.place / "lost" / "go").touch()
    box.finish(run)
    hours = box.status("lost")["hours"]
    assert 3600 * hours["wasted"] >= 5 and hours["saved"] == 0
