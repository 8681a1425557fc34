"""The power fails after any operation; whatever was not synced is lost, or partly there."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.crashes import read_operations
from lab.power import Disk
from lab.survival import Lab, Zygote, verify
from outlast._system.processes import my_identity
from outlast.core.fold import Study
from outlast.engine.record.examine import read_study
from outlast.study.layout import StudyPaths
from outlast.study.ledger_lines import from_line, to_line

pytestmark = pytest.mark.slow
_SUBSETS = 3
Operations = list[dict[str, Any]]


def test_a_disk_refuses_what_it_was_seen_to_be_asked_in_vain(tmp_path: Path) -> None:
    disk, left = Disk(Path("/lab")), tmp_path / "left"
    written = {"op": "write", "data": base64.b64encode(b"x").decode()}
    for path in ("/lab/trials/0000", "/lab/trials", "/lab/trials/0000"):
        disk.do({"op": "mkdir", "path": path})
    disk.do({**written, "path": "/lab/open/0000.1"})
    disk.do({**written, "path": "/lab/trials/0000/log"})
    disk.do({"op": "mkdir", "path": "/lab/trials/0000"})  # it is there
    for path in ("trials/0000/log", "trials/0000", "trials", ""):
        disk.do({"op": "fsync", "path": f"/lab/{path}"})
    disk.left(left)
    assert [str(each.relative_to(left)) for each in sorted(left.rglob("*"))] == [
        "trials", "trials/0000", "trials/0000/log",
    ]  # fmt: skip
    with pytest.raises(KeyError):
        disk.do({"op": "rename", "path": "/lab/open/.0000.1.tmp", "target": "/lab/open/0000.1"})


@pytest.fixture(scope="session")
def recorded(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Operations]:
    """Every file operation, of whatever process, of a run that fills its slot three times."""
    lab = Lab.make(tmp_path_factory.mktemp("recorded"), zygote)
    lab.run(faults={"record": str(lab.place / "operations.jsonl")})
    operations = list(read_operations(lab.place / "operations.jsonl"))
    # All three trials have ended. (How many operations that takes depends on which of them were the best when they did.)
    assert _acknowledged(operations) == 3
    return lab.place, operations


def _acknowledged(operations: Sequence[Mapping[str, Any]]) -> int:
    """How many trials' outcomes the coordinator has acted on: it puts a trial's record beside its files once its append has
    returned. (What threads and processes beside it write meanwhile says nothing.)"""
    decided: set[int] = set()
    put_away: set[int] = set()
    for operation in operations:
        if operation["op"] == "append":
            events = json.loads(base64.b64decode(operation["data"])).get("events", ())
            decided |= {event["trial"] for event in events if event["kind"] == "attempt_ended"}
        elif operation["op"] == "write" and (record := re.search(r"/trials/(\d+)/\.trial\.json", operation["path"])):
            put_away.add(int(record[1]))
    return len(decided & put_away)


def _study_left(folder: Path) -> Study:
    return read_study(StudyPaths.at(folder))


@pytest.mark.parametrize("subset", [None, *range(_SUBSETS)])
def test_the_ledger_is_whole_whenever_the_power_fails(
    subset: int | None, recorded: tuple[Path, Operations], tmp_path: Path
) -> None:
    place, operations = recorded
    disk = Disk(place)
    left = tmp_path / "left"
    for done in range(len(operations) + 1):
        disk.left(left, None if subset is None else random.Random(f"{subset} {done}"))
        study = _study_left(left / "studies" / "lab")
        ended = sum(trial.state.finished for trial in study.trials.values())
        assert ended >= _acknowledged(operations[:done]), f"after operation {done}"
        assert sorted(study.trials) == list(range(len(study.trials)))
        shutil.rmtree(left)
        if done < len(operations):
            disk.do(operations[done])


def _boot_anew(lab: Lab) -> None:
    """A machine that lost its power comes up with another boot id."""
    boot = my_identity().boot.encode()
    for record in [*lab.paths.ledger.glob("*.jsonl"), *lab.paths.trials.glob("*/attempts/*/started.json")]:
        lines = record.read_bytes().splitlines(keepends=True)
        record.write_bytes(b"".join(_of_another_boot(line, boot) for line in lines))


def _of_another_boot(line: bytes, boot: bytes) -> bytes:
    """A line that says so, with a checksum that is right if it had one."""
    changed = line.replace(boot, boot[::-1])
    if changed == line or from_line(line.removesuffix(b"\n")) is None:
        return changed
    known = json.loads(line)
    if "crc" not in known:
        return changed
    del known["crc"]
    return to_line(json.loads(json.dumps(known).replace(boot.decode(), boot.decode()[::-1])))


@pytest.mark.parametrize("part", range(4))
def test_a_run_after_a_power_failure_finishes_the_exact_budget(
    part: int, recorded: tuple[Path, Operations], make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    place, operations = recorded
    disk = Disk(place)
    faults: list[str] = []
    for done, operation in enumerate(operations):
        if done % 28 == part * 7:
            rng = None if done % 8 < 4 else random.Random(done)
            lab = make_lab(f"after-{done}")
            disk.left(lab.place, rng)
            _boot_anew(lab)
            lab.write()
            lab.run()
            verdict = verify(lab, reference, trials=3, interruptions=3, set_aside=True)
            faults += [f"after {done} operations ({operation['op']} {operation['path']}): {f}" for f in verdict.faults]
        disk.do(operation)
    assert not faults, "\n".join(faults)
