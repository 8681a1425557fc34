"""`export`: a model with all that belongs to it, in one folder or archive that can be opened anywhere.

Everything is put together under a hidden name beside its place and renamed there at the end. Nothing in it knows where it was
made, and no secret is in it. The model's own files stand at the top where Hugging Face's libraries look for them, else in
``model/``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast._system.files import remove_tree, rename, write_atomic
from outlast._system.locks import FileLock
from outlast._system.reading import read_json
from outlast._system.syncing import make_dir, settle_tree
from outlast._version import __version__
from outlast.config import yaml_writer
from outlast.config.load import to_yaml
from outlast.config.secrets import mask_text
from outlast.config.settings import EvaluateSettings, Settings
from outlast.core.file_names import StudyNames
from outlast.engine.attempts.code_snapshot import working_tree
from outlast.engine.derived.report import draw_report
from outlast.engine.followup.archive import ABOUT, mark_in, write_archive
from outlast.engine.followup.child import Search
from outlast.engine.followup.evaluate import Model, evaluation_command
from outlast.engine.followup.exported_code import copy_code, copy_model
from outlast.engine.followup.exported_facts import Subject, environment_of, exported_facts, subject_of
from outlast.engine.followup.exported_secrets import secret_values, take_out
from outlast.engine.followup.model_files import from_outside, is_pretrained, left_beside, parts_of
from outlast.engine.followup.run_script import Runnable, run_script
from outlast.errors import StudyBusy, UsageError
from outlast.results.configuration import configuration
from outlast.results.model_card import model_card
from outlast.results.writer import resolved_config

_REPORT = StudyNames.report.name
_SUFFIXES = (".tar.gz", ".tgz", ".zip")


class Exported(Struct, frozen=True):
    """What came of an export.

    Attributes:
        place: The folder or archive.
        current: It was there already, of the same facts: nothing was written.
        told: What a person should know, a sentence each.
    """

    place: str
    current: bool
    told: tuple[str, ...] = ()


def place_of(search: Search, output: str | None, archive: bool) -> str:
    """Where an export goes: ``export`` in the study folder, or its name with ``.tar.gz``."""
    place = (output or str(Path(search.home) / StudyNames.export.name)).rstrip("/")
    return f"{place}.tar.gz" if archive and not place.endswith(_SUFFIXES) else place


def export_model(search: Search, section: EvaluateSettings, *, place: str, trial: int | None = None) -> Exported:
    """Put a model together in a folder, or an archive where the place is called like one.

    Args:
        search: Whose model.
        section: `evaluate` of the study file: how the model is scored.
        place: Where it goes.
        trial: Of the search, instead of what was trained for good last, or of its best.

    Raises:
        UsageError: There is nothing to export, or something else at the place.
        StudyBusy: Somebody else exports to that place.
        OSError: The disk refused.
    """
    subject = subject_of(search, trial)
    with _alone(Path(place).absolute()):
        return _export(search, section, subject, place)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Put nothing together that somebody else puts together just now."""
    path = target.with_name(f".{target.name}.lock")
    make_dir(path.parent)
    lock = FileLock(str(path))
    try:
        # A lock on a file that another export has removed meanwhile keeps nobody out.
        if not (lock.acquire() and path.exists() and os.path.samestat(os.fstat(lock.content), path.stat())):
            raise StudyBusy(
                f"somebody else exports to {target.name} just now", cure="give the same command again when that is done"
            )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is ours: whoever opens it after us makes a new one
    finally:
        lock.close()


def _export(search: Search, section: EvaluateSettings, subject: Subject, place: str) -> Exported:
    packed, target = place.endswith(_SUFFIXES), Path(place).absolute()
    there = mark_in(target) if packed else _mark_of(target)
    if there is None and os.path.lexists(place) and not (target.is_dir() and not os.listdir(target)):
        raise UsageError(f"{place} is there, and it is no export", cure="name another place with --output")
    making = target.with_name(f".{target.name}.new")
    remove_tree(making)
    texts = _texts(search, section, subject, making)
    mark = _mark(texts, subject.model)
    if there == mark:
        remove_tree(making)
        return Exported(place, True, tuple(subject.told))
    texts[ABOUT] = _json({"version": 1, "outlast": __version__, "mark": mark})
    for name, text in texts.items():
        write_atomic(making / name, text, durable=False)
    if "run.sh" in texts:
        script = making / "run.sh"
        script.chmod(script.stat().st_mode | 0o111)
    draw_report(search.paths, search.study, search.settings, path=making / _REPORT)
    studies = [search.settings, subject.settings]
    code = [making / "code", *(Path(each.working_directory) for each in studies)]
    take_out(making.rglob("*"), secret_values(studies, code))
    if subject.model is not None:
        copy_model(parts_of(subject.model.path), making if _at_top(subject.model, texts) else making / "model")
    settle_tree(making)
    (write_archive if packed else _appear)(making, target)
    return Exported(place, False, tuple(subject.told))


def _texts(search: Search, section: EvaluateSettings, subject: Subject, making: Path) -> dict[str, str]:
    """Every text of the folder but the code, which is copied here: name → content."""
    make_dir(making)
    whole = configuration(search.study.trials[subject.chosen.trial], search.study, search.settings)
    params = {**subject.settings.space.complete(subject.trial.params), **whole, **subject.trial.derived}
    evaluation = evaluation_command(search.settings, section)
    words = [*(subject.settings.command or ()), *(evaluation or ())]
    inside, told = copy_code(subject.settings, words, making / "code")
    subject.told.extend(told)
    if not told and not any((making / "code").rglob("*")):
        subject.told.append(
            f"no code was found in {os.path.basename(subject.settings.working_directory)}/: code/ is empty"
        )
    named = subject.model is None or subject.settings.checkpoints.pattern
    beside = [] if subject.model is None or named else left_beside(subject.model.path, subject.model.checkpoints)
    if beside:
        few = ", ".join(beside[:5]) + (", …" if len(beside) > 5 else "")
        subject.told.append(
            f"not exported: {few}, beside the model (`checkpoints.pattern` says what the model is, such as a folder)"
        )
    model = subject.model
    outside = [] if model is None else from_outside(parts_of(model.path), model.checkpoints)
    if outside:
        subject.told.append(f"{', '.join(outside[:5])}: copied from outside the training's folder, where a link points")
    facts = exported_facts(search, subject, whole)
    texts = {
        "metrics.json": _json(facts),
        "params.json": _json(search.settings.nest(whole)),
        "config.yaml": yaml_writer.dump(search.settings.nest(whole)),
        "study.yaml": to_yaml(subject.settings),
        "environment.json": _json(environment_of(subject)),
    }
    given = resolved_config(subject.paths.trial(subject.trial.number).record)
    config = None
    if given is not None:
        config = f"training-config{Path(str(subject.settings.config)).suffix}"
        texts[config] = given
    inside_it = None if subject.model is None else _model_name(subject.model, texts)
    scored = (
        None
        if evaluation is None
        else Runnable(_with_command(search.settings, evaluation), params, subject.trial.seed, {})
    )
    script = run_script(
        f"Trial {subject.chosen.trial} of the search {search.settings.name}.",
        Runnable(subject.settings, params, subject.trial.seed, subject.trial.told),
        scored, code=os.path.normpath(f"code/{inside}"), model=inside_it, config=config,
    )  # fmt: skip
    if script is not None:
        texts["run.sh"] = script
    difference = _difference(subject)
    if difference:
        texts["code.diff"] = difference
    texts["README.md"] = model_card(
        {**facts, "why": subject.chosen.why}, files=_contents([*texts, _REPORT], inside_it), told=subject.told
    )
    return {name: mask_text(text) if name != "run.sh" else text for name, text in texts.items()}


def _difference(subject: Subject) -> str | None:
    """What was not committed of the code that it was trained with; ``None`` where that is not what lies there now."""
    folder = subject.settings.working_directory
    if "+" not in subject.trial.code or working_tree(folder) != subject.trial.code:
        return None
    command = ["git", "-C", folder, "diff", "HEAD", "--", "."]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _contents(names: Sequence[str], model: str | None) -> dict[str, str]:
    about = {
        model or "": "the model",
        "config.yaml": "the configuration",
        "params.json": "the same as JSON",
        "metrics.json": "every score: search, fresh seeds, refit, test",
        "run.sh": "trains it again, and scores it",
        "code/": "what it was trained with",
        "code.diff": "what of that was not committed",
        "environment.json": "Python, packages, commit, hardware",
        "study.yaml": "how it was trained, as Outlast has it",
        _REPORT: "the whole search on one page",
    }
    there = {*names, "code/", "run.sh", model or ""} - {""}
    return {name: text for name, text in about.items() if name in there}


def _model_name(model: Model, texts: Mapping[str, str]) -> str:
    if _at_top(model, texts):
        return "."
    return f"model/{model.path.name}" if not model.path.is_dir() else "model"


def _at_top(model: Model, texts: Mapping[str, str]) -> bool:
    """Whether the model's files stand beside ours: Hugging Face's, none of which is called as one of ours."""
    ours = {*texts, "run.sh", "README.md", "code.diff", "report.html", "code", "again", "model", ABOUT} - {"README.md"}
    return is_pretrained(model.path) and not ours & {part.name for part in parts_of(model.path)}


def _with_command(settings: Settings, command: tuple[str, ...]) -> Settings:
    return replace(settings, command=command, function=None)


def _mark(texts: Mapping[str, str], model: Model | None) -> str:
    """What an export of the same facts has in common with this one."""
    found = hashlib.sha256(json.dumps(sorted(texts.items())).encode("utf-8", "backslashreplace"))
    parts = [] if model is None else parts_of(model.path)
    for place in (place for part in parts for place in (part, *sorted(part.rglob("*"))) if place.is_file()):
        about = place.stat()
        found.update(f"{place.name} {about.st_size} {about.st_mtime_ns}\n".encode())
    return found.hexdigest()


def _mark_of(place: Path) -> str | None:
    """The mark of the export in a folder; ``None``: it is none. One whose successor was cut off on its way is put back."""
    old = _aside(place)
    if old.exists() and not place.exists():
        rename(old, place)
    about = read_json(place / ABOUT)
    return str(about.get("mark")) if isinstance(about, dict) else None


def _appear(making: Path, place: Path) -> None:
    """Give the folder its name, in the place of an earlier export."""
    old = _aside(place)
    remove_tree(old)
    if place.exists():
        rename(place, old)
    rename(making, place)
    remove_tree(old)


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _json(facts: Any) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n"
