"""One class says how a study's files are called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import outlast
from outlast.core.file_names import AttemptPaths, StudyNames, TrialPaths, names_of

SOURCE = Path(outlast.__file__).parent
NAMES = {each.name for kind in (AttemptPaths, TrialPaths, StudyNames) for each in names_of(kind)} | {"checkpoints"}
#: Files that could not be meant otherwise; the other names are words as well.
UNMISTAKABLE = {name for name in NAMES if "." in name} | {"best_checkpoint"}
KNOWN = {
    "client.py": NAMES,  # one file, copied beside the training: it imports nothing of ours
    "core/file_names.py": NAMES,
    "config/load.py": {"study.yaml"},  # what errors in a resolved study file are said of
    "runner/hooks/outlast_mlflow_run.py": {"tracking"},  # inside of a training: it imports nothing of ours
    "cli/targets/locate.py": {"study.yaml"},  # the name that a person's study file is looked for by
    "cli/targets/search_request.py": {"study.yaml"},
    "cli/commands/search.py": {"study.yaml"},
    "cli/commands/model.py": {"study.yaml"},
    "engine/followup/export.py": {
        "code",
        "config.yaml",
        "params.json",
        "report.html",
        "study.yaml",
    },  # in what is exported
}


def strings(tree: ast.AST) -> Iterator[str]:
    """What is used as a file's name: unmistakable anywhere, any word behind a slash or in a joined path."""
    for node in ast.walk(tree):
        found: list[ast.expr] = []
        if isinstance(node, ast.Constant) and node.value in UNMISTAKABLE:
            yield str(node.value)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found = [node.right]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.path.join", "Path"):
            found = node.args
        yield from (str(e.value) for e in found if isinstance(e, ast.Constant) and e.value in NAMES - UNMISTAKABLE)


@pytest.mark.parametrize(
    "room", sorted(p.name for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists())
)
def test_no_file_name_of_a_study_is_written_twice(room: str) -> None:
    place = SOURCE / room
    found = {}
    for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if literal := set(strings(ast.parse(path.read_text()))) - KNOWN.get(name, set()):
            found[name] = literal
    assert not found
