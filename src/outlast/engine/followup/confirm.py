"""``confirm``: the best of a search run again with fresh seeds, block by block, until nothing can change any more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from outlast._system.files import write_atomic
from outlast._system.reading import read_bytes, read_json
from outlast._system.syncing import make_dir
from outlast.config import yaml_writer
from outlast.config.settings import ConfirmSettings
from outlast.core.finding import Finding
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.plan import Verdict
from outlast.core.states import StudyState
from outlast.engine.attempts.slots import slot_count
from outlast.engine.coordinator.listener import Listener
from outlast.engine.followup.child import Followup, Search, lay_out, run_followup
from outlast.engine.followup.confirmation import Confirmation
from outlast.engine.followup.confirmation_document import confirmed_of, document
from outlast.errors import OutlastError, UsageError
from outlast.results.configuration import configuration
from outlast.results.writer import resolved_config
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened


def confirm(
    search: Search,
    wanted: ConfirmSettings,
    listener: Callable[[Opened, int], Listener],
    *,
    tell: Callable[[Verdict, Study], object],
    run: bool = True,
    fresh: bool = False,
    refusal: Callable[[Finding], OutlastError] | None = None,
    say: Callable[[str], object] = print,
) -> Confirmation:
    """Run what is missing of a confirmation, and write down what it says. The same call again does exactly the rest.

    Args:
        search: Whose best are confirmed; it may still be running.
        wanted: How many, and what decides.
        listener, tell: See `outlast.engine.launch.run`; a listener is made for each block.
        run: Without, the repetitions of the next block are only created: for `submit`, or whoever runs the folder.
        fresh: Set earlier repetitions aside.
        refusal, say: See `outlast.engine.followup.child.lay_out`.

    Returns:
        What it says; whether it is final, it says as well.

    Raises:
        UsageError: No trial of the search has completed yet.
        OutlastError: As `outlast.engine.followup.child.run_followup`.
    """
    followup = Followup(search, "confirm")
    while True:
        now = standing(search, wanted, fresh=fresh)
        slots = slot_count(followup.settings(1))
        block = [search.repetition(number, seed) for number, seed in now.next_block(slots)]
        if not block:
            break
        ended: Verdict | None = None
        if not run:
            lay_out(followup, block, fresh=fresh, refusal=refusal, say=say)
        else:
            study, ended = run_followup(followup, block, listener, tell=tell, fresh=fresh, refusal=refusal, say=say)
        fresh = False
        now = Confirmation(search, followup.study, wanted)
        _write(now)
        if not run or not all(trial.state.finished for trial in study.trials.values()):
            return now
        if ended is not None and ended.state is not StudyState.DONE:  # stopped while the last of the block were ending
            return now
    _write(now)
    return now


def standing(search: Search, wanted: ConfirmSettings, *, fresh: bool = False) -> Confirmation:
    """What a confirmation says now, without running or writing anything; `fresh`: as if there were no repetitions.

    Raises:
        UsageError: No trial of the search has completed yet.
    """
    now = Confirmation(search, Study() if fresh else Followup(search, "confirm").study, wanted)
    if not now.top:
        raise UsageError(
            f"no trial of {search.folder} has completed yet: there is nothing to confirm",
            cure=f"outlast status {search.folder}",
        )
    return now


def confirmation_of(folder: str | os.PathLike[str]) -> Mapping[str, Any] | None:
    """What ``confirmation.json`` of a search says; `None` where there is none.

    Args:
        folder: Of the search: its home, where it runs on scratch.
    """
    said = read_json(StudyPaths.at(folder).confirm / StudyPaths.confirmation.name)
    return said if isinstance(said, dict) else None


def _write(now: Confirmation) -> None:
    """What it says, beside the repetitions; once that is final, and only then, the configuration that it
    takes lies beside the search's best."""
    home, said = StudyPaths.at(now.search.home), document(now)
    make_dir(home.confirm)
    text = json.dumps(plain_json(said), indent=2, ensure_ascii=False, default=str) + "\n"
    _replace(home.confirm / home.confirmation.name, text)
    taken = confirmed_of(said)
    if taken is not None:
        _replace(home.confirmed_config, _config(now, taken, said["best"]))
    else:
        home.confirmed_config.unlink(missing_ok=True)  # of an earlier confirmation, which this one goes beyond


def _replace(path: os.PathLike[str], text: str) -> None:
    if read_bytes(path) != text.encode():
        write_atomic(path, text)


def _config(now: Confirmation, taken: int, best: Mapping[str, Any]) -> str:
    """A trial's whole configuration, as ``best_config.yaml`` has the best one's."""
    search = now.search
    trial = search.study.trials[taken]
    name = now.metrics[0].name
    mean = f"mean {name} = {best['mean']!r} over {best['n']} fresh seeds"
    header = f"{search.settings.name}: trial {taken}, {mean}: {best['reason']}"
    whole = resolved_config(search.paths.trial(taken).record) if search.settings.config is not None else None
    whole = whole or yaml_writer.dump(search.settings.nest(configuration(trial, search.study, search.settings)))
    return f"# {' '.join(header.split())}\n{whole}"
