"""The result files of a study folder: written when their content changes, compared on request.

``trials.csv  study_summary.csv  best_config.yaml  best_results.json  best_checkpoint`` are derived from the ledger.
While no trial has completed there is no best_config.yaml; best_results.json says ``"best": null``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Union

from outlast._system.files import remove, symlink_atomic, write_atomic
from outlast._system.reading import list_names, read_bytes, read_link
from outlast.config.settings import Settings
from outlast.core.best import best_trial
from outlast.core.file_names import StudyNames
from outlast.core.fold import Study
from outlast.results.documents import best_config_yaml, best_results_json
from outlast.results.trial_table import TrialTable

_LONGEST_TARGET = 4096  # bytes of a path

PathLike = Union[str, "os.PathLike[str]"]


class ResultsWriter:
    """Keeps the result files of one study current.

    Rows of finished trials are rendered once, and a file is written only when its content changes. It does not
    throttle: the caller decides how often.

    Args:
        folder: The study's.
        settings: In force.
        checkpoints: Trial number → its checkpoint folder; by default ``trials/NNNN/checkpoints`` in the study folder.
        fence: Raises when these files are somebody else's to write by now; asked right before each appears.
    """

    def __init__(
        self,
        folder: PathLike,
        settings: Settings,
        *,
        checkpoints: Callable[[int], PathLike] | None = None,
        fence: Callable[[], object] | None = None,
    ) -> None:
        self._files, self._fence = StudyNames(Path(folder)), fence or (lambda: None)
        self._settings = settings
        self._checkpoints = checkpoints or (lambda number: self._files.trial(number).checkpoints)
        self._table = TrialTable(settings)
        self._written: dict[Path, bytes] = {}
        self._given: tuple[tuple[int, int], str] | None = None

    def write(self, study: Study) -> None:
        """Bring every file up to date with the study.

        Raises:
            OSError: The disk refused; what was written is whole, the rest keeps its old content.
        """
        link = self._link_target(study)
        for path, content in self._contents(study, link).items():
            self._write(path, content)
        self._point_link(link, study)

    def check(self, study: Study) -> list[str]:
        """What is missing or disagrees with the study, one sentence each; empty if all is well. Writes nothing."""
        link = self._link_target(study)
        found = []
        for path, content in self._contents(study, link).items():
            there = read_bytes(path)
            if content is None:
                if there is not None:
                    found.append(f"{path.name} is there although no trial has completed")
            elif there is None:
                found.append(f"{path.name} is missing")
            elif there != content:
                found.append(f"{path.name} disagrees with the ledger")
        pointed = read_link(self._files.best_checkpoint)
        if pointed != link:
            found.append(
                f"{self._files.best_checkpoint.name} points to {pointed or 'nothing'} instead of {link or 'nothing'}"
            )
        return found

    def _contents(self, study: Study, link: str | None) -> dict[Path, bytes | None]:
        names = self._files
        texts = {
            names.trials_table: self._table.render(study),
            names.summary: self._table.render_ranked(study),
            names.best_config: best_config_yaml(study, self._settings, resolved=self._resolved(study)),
            names.best_results: best_results_json(study, self._settings, checkpoint=link),
        }
        return {path: None if text is None else text.encode() for path, text in texts.items()}

    def _resolved(self, study: Study) -> str | None:
        """What the best trial was given for ``${config}``; read again only when another trial is best."""
        best = best_trial(study, self._settings.metrics) if self._settings.config is not None else None
        if best is None:
            return None
        known = (best.number, len(best.attempts))
        if self._given is None or self._given[0] != known:
            text = resolved_config(self._files.trial(best.number).record)
            self._given = (known, text) if text is not None else None
        return None if self._given is None else self._given[1]

    def _write(self, path: Path, content: bytes | None) -> None:
        if content is None:
            if os.path.lexists(path):
                self._remove(path)
            self._written.pop(path, None)
            return
        known = self._written.get(path)
        if known is None or not path.exists():
            known = read_bytes(path)
        if known != content:
            write_atomic(path, content, fence=self._fence)
        self._written[path] = content

    def _remove(self, path: Path) -> None:
        self._fence()
        remove(path)

    def _link_target(self, study: Study) -> str | None:
        """Where best_checkpoint should point: relative inside the study folder; ``None`` without a checkpoint."""
        best = best_trial(study, self._settings.metrics)
        saved = best is not None and bool(list_names(self._checkpoints(best.number)))
        return self._target_of(best.number) if best is not None and saved else None

    def _target_of(self, number: int) -> str:
        home, place = os.path.abspath(self._files.root), os.path.abspath(self._checkpoints(number))
        return os.path.relpath(place, home) if os.path.commonpath([home, place]) == home else place

    def _point_link(self, target: str | None, study: Study) -> None:
        link = self._files.best_checkpoint
        if read_link(link) == target and (target is not None or not os.path.lexists(link)):
            return
        if os.path.lexists(link) and not link.is_symlink() and not self._was_a_link(link, study):
            return  # something of the user's that is not ours to replace
        if target is None:
            self._remove(link)
        else:
            symlink_atomic(target, link, fence=self._fence)

    def _was_a_link(self, path: Path, study: Study) -> bool:
        """Whether an archive or a checkout that has no links left ours as a file that holds its target."""
        if not path.is_file() or path.stat().st_size > _LONGEST_TARGET:
            return False
        text = path.read_bytes()
        return any(text == os.fsencode(self._target_of(number)) for number in study.trials)


def resolved_config(record: PathLike) -> str | None:
    """The configuration file that a finished trial was given, as its ``trial.json`` keeps it; ``None``: it has none."""
    try:
        kept = json.loads(read_bytes(record) or b"null")
    except ValueError:
        return None
    text = kept.get("config") if isinstance(kept, dict) else None
    return text if isinstance(text, str) else None
