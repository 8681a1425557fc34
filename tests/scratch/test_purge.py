"""Files that a study needs to go on are told of a week before a site purges them."""

from __future__ import annotations

import os
import shlex
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from outlast.engine.check.quick import quick_check
from outlast.engine.record.look import look
from outlast.monitor.health import purge_days, purge_warning
from outlast.study.disk_space import untouched_days

DAY = 86400.0


@given(st.dictionaries(st.text(min_size=1), st.floats(0, 400), max_size=6), st.floats(1, 365))
def test_a_file_is_told_of_in_its_last_week_and_not_before(untouched, days):
    found = purge_warning(untouched, days, "s")
    limit = max(days - 7, days / 2)
    assert (found is not None) == any(age > limit for age in untouched.values())
    if found is not None:
        oldest = max(untouched.values())
        assert any(found.text.startswith(file) for file, age in untouched.items() if age == oldest)
        assert ("any moment" in found.text) == (oldest >= days)


def test_the_warning_says_which_when_and_what_to_do():
    found = purge_warning({"a": 55.0, "b": 56.0, "c": 54.0, "d": 1.0}, 60, "studies/s")
    assert found is not None and found.key == "purge"
    assert found.text == "b and 2 more files, needed to resume, may be purged in 4d 00h: untouched for 56 of 60 days"
    assert found.cure == "find studies/s/ -type f -exec touch -a {} +"


@pytest.mark.parametrize(("given", "expected"), [(60, 60.0), (0.5, 0.5), ("60", None), (True, None), (None, None)])
def test_the_site_s_rule_is_a_number_of_days(scratch, given, expected):
    assert purge_days(replace(scratch.settings, slurm={"purge_days": given})) == expected


def age(path, days: float) -> None:
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))


def test_what_is_looked_at_is_what_a_resume_needs(scratch):
    scratch.trial(0)
    scratch.trial(1, None)
    found = untouched_days(scratch.live, scratch.study)
    names = {os.path.relpath(path, scratch.live.root) for path in found}
    assert names == {"study.yaml", "ledger/00000001.jsonl", "trials/0001/checkpoints/last.pt"}


def test_a_file_counts_as_touched_when_it_was_read_or_written(scratch):
    ledger, study = scratch.live.ledger / "00000001.jsonl", scratch.study
    for read, written in ((3, 50), (50, 3)):
        now = time.time()
        os.utime(ledger, (now - read * DAY, now - written * DAY))
        assert untouched_days(scratch.live, study, now=now)[str(ledger)] == pytest.approx(3)


def test_status_and_check_warn_and_the_cure_cures(scratch):
    settings = scratch.settings
    changed = {**settings.resolved, "slurm": {"purge_days": 30}}
    scratch.say(type(scratch.study.revisions[0])(2, "2026-01-05T10:00:00.000+00:00", changed))
    scratch.trial(0, None)
    age(scratch.live.trial(0).checkpoints / "last.pt", 25)
    (warning,) = [w for w in look(scratch.live.root)[0].warnings if w.key == "purge"]
    assert "last.pt" in warning.text
    wanted = replace(settings, slurm={"purge_days": 30})
    (finding,) = [f for f in quick_check(wanted, str(scratch.home.root)) if f.about == "purge"]
    assert finding.text == warning.text
    subprocess.run(shlex.split(warning.cure), check=True)
    assert not [w for w in look(scratch.live.root)[0].warnings if w.key == "purge"]
    assert not [f for f in quick_check(settings, str(scratch.home.root)) if f.about == "purge"]
