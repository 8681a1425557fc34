"""What docs/architecture.md says is so: each sentence has its holder, and the tables and drawings are compared with the code."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args, get_type_hints

from outlast.cli.app import app
from outlast.config import chain, native, wandb, yaml
from outlast.config import reference_dialect as reference
from outlast.core.records import Event
from outlast.core.states import Cause
from outlast.optimizer.bridge import optuna_samplers
from outlast.optimizer.failure_feedback import Lesson
from outlast.optimizer.pruners import optuna_pruner
from outlast.space.definitions import FIGURES
from outlast.space.distributions import Latent

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "outlast"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# sentences

_HOLDERS = tomllib.loads((Path(__file__).parent / "held.toml").read_text())
#: How a sentence begins → what holds it.
HELD: dict[str, str] = _HOLDERS["sentences"]
#: What is added → what holds its row.
RECIPES: dict[str, str] = _HOLDERS["recipes"]


def sentences(page: str) -> list[str]:
    """The page's sentences, without drawings, tables and headings."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^[|#].*$", "", prose, flags=re.MULTILINE)
    prose = re.sub(r"^- ", "\n", prose, flags=re.MULTILINE)
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", prose))
    found = [each for paragraph in paragraphs for each in re.split(r"(?<=[.;:])\**\s+(?=[*`A-Z])", paragraph) if each]
    return [each.strip("*- ") for each in found]


def holders_of(sentence: str) -> list[str]:
    return [key for key in HELD if sentence.startswith(key)]


def test_every_sentence_has_a_holder() -> None:
    assert [each for each in sentences(PAGE) if len(holders_of(each)) != 1] == []
    assert set(HELD) == {key for each in sentences(PAGE) for key in holders_of(each)}


def test_every_holder_is_there() -> None:
    contracts = {contract["name"] for contract in PROJECT["tool"]["importlinter"]["contracts"]}
    missing = []
    for holder in {*HELD.values(), *RECIPES.values()} - {"-"} - contracts:
        path, _, name = holder.rpartition("::")
        places = [ROOT / "tests" / path] if path else list(Path(__file__).parent.glob("test_*.py"))
        text = "\n".join(place.read_text() for place in places)
        if not re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE):
            missing.append(holder)
    assert missing == []


def test_a_sentence_of_its_own_is_noticed() -> None:
    wrong = PAGE.replace("It never judges.", "It judges.")
    assert [each for each in sentences(wrong) if not holders_of(each)] == ["It judges."]


# rooms


def test_no_file_name_stands_in_two_rooms() -> None:
    """What is looked for by its name is found in one place; `main` and `__init__` say where one begins."""
    names = Counter(path.name for path in SOURCE.rglob("*.py"))
    twice = {name for name, times in names.items() if times > 1} - {"main.py", "__init__.py", "__main__.py"}
    assert twice == set()


@functools.cache
def imports_of(path: Path) -> frozenset[str]:
    """What a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def importers(room: str, *modules: str) -> list[str]:
    """The files of a room that import any of these, or what is in them."""
    files = [SOURCE / room] if room.endswith(".py") else sorted((SOURCE / room).rglob("*.py"))
    return [
        str(path.relative_to(SOURCE)) for path in files
        if any(name == module or name.startswith(f"{module}.") for name in imports_of(path) for module in modules)
    ]  # fmt: skip


def floors() -> list[list[str]]:
    """Of the whole house, from the roof down."""
    contract = next(each for each in PROJECT["tool"]["importlinter"]["contracts"] if "cli" in each.get("layers", ()))
    assert contract["type"] == "layers"
    return [[room.strip() for room in re.split(r"[|:]", floor)] for floor in contract["layers"]]


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def table(title: str) -> list[list[str]]:
    """The cells of a section's first table, header left out."""
    (found, *_) = re.findall(r"(?:^\|.*\|\n)+", section(title), re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in found.splitlines()[2:]]


#: Drawn below the house: where they run, nothing else of ours is.
APART = {"client", "callbacks", "testing"}


def test_the_house_is_drawn_as_the_contract_has_it() -> None:
    drawing = section("The rooms").partition("```text\n")[2].partition("```")[0].splitlines()
    house, below = drawing[: drawing.index("")], drawing[drawing.index("") :]
    at = {}
    for number, line in enumerate(house):
        for word in re.findall(r"[\w]+", line[:70] if "neighbours" in line else line[:46]):
            at.setdefault(word, number)
    rooms = [[room for room in floor if room not in APART] for floor in floors()]
    lines = [{at[room] for room in floor} for floor in rooms if floor]
    assert all(len(line) == 1 for line in lines)
    heights = [min(line) for line in lines]
    assert heights == sorted(heights)
    assert set(at) == {room for floor in rooms for room in floor}
    assert {line.split()[0] for line in below if line.strip()} == APART


def test_the_engine_is_drawn_as_its_contract_has_it() -> None:
    contract = next(
        each for each in PROJECT["tool"]["importlinter"]["contracts"] if each.get("containers") == ["outlast.engine"]
    )
    lines = section("The rooms of the engine").partition("```text\n")[2].partition("```")[0].splitlines()
    drawn = [set(re.findall(r"\w+", line[:42])) for line in lines]
    assert [floor for floor in drawn if floor] == [set(re.findall(r"\w+", floor)) for floor in contract["layers"]]
    rows = {cells[0].strip("`") for cells in table("The rooms of the engine")}
    there = {path.stem for path in (SOURCE / "engine").iterdir() if not path.name.startswith("__")}
    assert rows == there - {"draft", "objective_identity"}
    assert all(len(docstring) > 150 for room in there if (docstring := _docstring(room)) is not None)


def test_the_command_line_is_listed_as_its_contract_has_it() -> None:
    contract = next(
        each for each in PROJECT["tool"]["importlinter"]["contracts"] if each.get("containers") == ["outlast.cli"]
    )
    rows = [re.findall(r"\w+", cells[0]) for cells in table("The rooms of the command line")]
    assert rows == [re.findall(r"\w+", floor) for floor in contract["layers"]]


def _docstring(room: str) -> str | None:
    """What a room of the engine says of itself; ``None`` of a single module."""
    page = SOURCE / "engine" / room / "__init__.py"
    return (ast.get_docstring(ast.parse(page.read_text())) or "") if page.exists() else None


def test_every_room_has_a_row_and_a_floor() -> None:
    rows = {cells[0].strip("`").removesuffix(".py") for cells in table("The rooms")}
    there = {path.stem for path in SOURCE.iterdir() if path.is_dir() or path.suffix == ".py"}
    there = {name for name in there if not name.startswith("__") and name != "_version"}
    assert rows - there == set()
    assert there - rows == {"client", "callbacks"}  # the drawing says it of them
    assert {room for floor in floors() for room in floor} == there


def test_the_narrower_rules_are_contracts() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    forbidden = {
        (source.removeprefix("outlast."), target.removeprefix("outlast."))
        for contract in contracts if contract["type"] == "forbidden"
        for source in contract["source_modules"] for target in contract["forbidden_modules"]
    }  # fmt: skip
    below = [room for floor in floors()[3:] for room in floor if room not in ("optimizer", "client", "errors")]
    assert {(room, "optuna") for room in below} <= forbidden
    for room in ("core", "analysis"):
        assert {(room, "time"), (room, "subprocess"), (room, "_system")} <= forbidden
    for room in ("client", "callbacks"):
        assert {(room, other) for other in ("core", "study", "engine", "_system", "errors", "config")} <= forbidden
    assert {(room, "testing") for floor in floors() for room in floor if room != "testing"} <= forbidden


def test_the_core_knows_no_clock_no_file_and_no_process() -> None:
    outside = ("os", "io", "shutil", "tempfile", "socket", "time", "subprocess", "threading", "psutil")
    assert importers("core", *outside) == []
    looking = r"\.(?:now|utcnow|today|exists|is_dir|is_file|i?glob|iterdir|stat|read_\w+|write_\w+)\(|\bopen\("
    assert files_with("core", looking) == []  # a path may be named, not looked at


def test_the_client_is_standard_library_only() -> None:
    ours = {name.split(".")[0] for name in imports_of(SOURCE / "client.py")}
    assert ours - set(sys.stdlib_module_names) <= {"torch", "safetensors", "numpy"}
    assert [name for path in (SOURCE / "callbacks").glob("*.py") for name in imports_of(path)
            if name.startswith("outlast.") and not name.startswith(("outlast.client", "outlast.callbacks"))] == []  # fmt: skip


def test_who_sees_does_not_judge() -> None:
    for room in ("runner", "objective", "study"):
        assert importers(room, "outlast.core.faults", "outlast.core.budget") == [], room


def test_rooms_leave_alone_what_they_must() -> None:
    assert importers("space", "ruamel", "yaml", "optuna") == []
    assert importers("cli", "outlast.study.ledger", "optuna") == []
    assert files_with("monitor", r"\b(?:write_\w+|append_durable|make_dir|rename|remove|open)\(") == []
    assert files_with("objective", r"\bwrite_\w+\(") == []


def files_with(room: str, pattern: str) -> list[str]:
    return [path.name for path in (SOURCE / room).rglob("*.py") if re.search(pattern, path.read_text())]


def test_the_runner_imports_nothing_slow() -> None:
    code = "import sys, outlast.runner.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    slow = {"optuna", "numpy", "scipy", "pydantic", "typer", "rich", "ruamel", "sqlalchemy", "cloudpickle", "plotly"}
    assert slow & {name.split(".")[0] for name in loaded} == set()


# the optimiser


def test_every_room_of_the_optimiser_has_a_row_and_says_in_one_sentence_what_it_is() -> None:
    there = {path.parent.name: path for path in (SOURCE / "optimizer").glob("*/__init__.py")}
    assert {cells[0].strip("`") for cells in table("The optimiser")} == {"its own floor", *there}
    said = {room: ast.get_docstring(ast.parse(path.read_text())) or "" for room, path in there.items()}
    assert [room for room, sentence in said.items() if not re.fullmatch(r"[^\n]{50,}\.", sentence)] == []


def test_each_lesson_has_a_test() -> None:
    tests = (ROOT / "tests/optimizer/test_failure_feedback.py").read_text()
    assert {lesson.name for lesson in Lesson} == {"PRUNED", "WORST", "CONSTRAINED"}
    for words in ("pruned_rows_without_a_curve", "the_worst_value_so_far", "a_constraint_on_every_trial"):
        assert re.search(rf"^def test_\w*{words}", tests, re.MULTILINE), words


# where a change belongs


def test_every_recipe_has_a_holder() -> None:
    assert [cells[0] for cells in table("Where a change belongs")] == list(RECIPES)


def test_a_dialect_is_added_where_the_page_says() -> None:
    for dialect in (wandb, reference):
        assert get_type_hints(dialect.translate)["return"] == tuple[yaml.Document, tuple[str, ...]]
        name = dialect.__name__.rpartition(".")[2]
        assert all(f"{name}.{word}" in inspect.getsource(chain) for word in ("translate", "ONLY_KEYS"))


def test_a_distribution_is_added_where_the_page_says() -> None:
    assert get_args(get_type_hints(Latent)["kind"]) == ("float", "int", "categorical")
    assert importers("optimizer", *(f"outlast.space.distributions.{name}" for name in ("decode", "encode"))) == []
    words = FIGURES.keys() - {"constant", "categorical"}  # these are words of many things
    others = [room for room in ("core", "study", "runner", "engine", "executors", "monitor", "results", "cli")
              if any(files_with(room, f"\"{word}\"") for word in words)]  # fmt: skip
    assert others == []


def test_a_sampler_and_a_pruner_are_added_where_the_page_says() -> None:
    assert set(optuna_samplers._CLASSES) | {"auto", "gaussian", "grid"} == set(native.SAMPLERS)
    assert optuna_pruner.PRUNERS is native.PRUNERS


def test_a_cause_is_added_where_the_page_says() -> None:
    decided_before_a_start = {Cause.CONSTRAINT, Cause.SPACE_CHANGED, Cause.IMPORTED, Cause.PART}
    rules = (SOURCE / "core" / "faults.py").read_text()
    rows = "".join(
        (ROOT / "tests" / name).read_text() for name in ("faults/test_truth_table.py", "core/test_faults.py")
    )
    for cause in set(Cause) - decided_before_a_start:
        assert f"Cause.{cause.name}" in rules, cause
        assert re.search(rf"\b{cause.name}\b", rows), cause


def test_a_command_is_added_where_the_page_says() -> None:
    listed = (SOURCE / "cli" / "app.py").read_text()
    for name, command in app.commands.items():
        assert command.help and command.callback is not None, name
        module = inspect.unwrap(command.callback).__module__
        assert module.startswith("outlast.cli.commands.")
        assert f'"{name}": "{module}:' in listed, name


def test_a_kind_of_record_is_added_where_the_page_says() -> None:
    folded = (SOURCE / "core" / "fold.py").read_text()
    assert [kind.__name__ for kind in get_args(Event) if f"case {kind.__name__}()" not in folded] == []
