"""Reading YAML 1.2: plain data, and for each key the line it stands on.

Anything a text file can be is answered within a second or two: too large, deep, self-referring and exploding documents
are refused before they cost memory, and every refusal says file and line.
"""

from __future__ import annotations

import os
import re
from typing import Any

from msgspec import Struct

from outlast.config.yaml11 import AsWritten, as_written
from outlast.core.file_names import StudyNames
from outlast.errors import StudyFileError

Path = tuple["str | int", ...]

#: Before the document: ``%YAML 1.1``. ruamel.yaml would then read words that PyYAML, which sets the usage, reads otherwise.
_VERSION = re.compile(r"((?:[ \t]*(?:#[^\n]*)?\n)*)%YAML[ \t]+1\.1(?=\s)")
_MAX_BYTES = 256 * 1024
_MAX_LINES = 10_000
_MAX_VALUES = 50_000
_MAX_DEPTH = 64


class Place(Struct, frozen=True):
    """Where something was said: a file as the user named it (or words such as ``--set``), and a 1-based line."""

    file: str
    line: int | None = None


class Document(Struct):
    """Plain data with the place of every key and list item, the words that YAML 1.1 reads otherwise, and numbers as spelled."""

    data: dict[str, Any]
    file: str
    places: dict[Path, Place] = {}
    written: dict[Path, AsWritten] = {}
    numbers: dict[Path, str] = {}  # as they are spelled: 1.10, 010, 1e-5

    def place(self, path: Path) -> Place:
        """Where a path stands; the nearest one above it if it is not there itself."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return self.places.get((), Place(self.file))

    def error(self, path: Path, fact: str, cure: str | None = None) -> StudyFileError:
        """The error for something that is wrong at a path."""
        place = self.place(path)
        return StudyFileError(fact, file=place.file, line=place.line, key=dotted(path) or None, cure=cure)

    def put(self, path: Path, value: Any, source: Path | Place | None = None, other: Document | None = None) -> None:
        """Set a value, making the mappings above it; its places are taken from ``source`` in ``other``, or stay."""
        here: Any = self.data
        for key in path[:-1]:
            if isinstance(here, list):
                here = here[int(key)]
                continue
            if here.get(key) is None:  # not there, or a key with nothing behind it
                here[key] = {}
            here = here[key]
        here[path[-1]] = value
        if source is None:
            return
        for old in [p for p in self.places if p[: len(path)] == path]:
            del self.places[old]
        if isinstance(source, Place):
            self.places[path] = source
        else:
            origin = other or self
            moved = {path + p[len(source) :]: place for p, place in origin.places.items() if p[: len(source)] == source}
            self.places |= moved or {path: origin.place(source)}


def dotted(path: Path) -> str:
    """A path as people write it: ``parameters.lr.values[2]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text if len(text) <= 100 else f"{text[:97]}..."


def read(path: str | os.PathLike[str]) -> Document:
    """Read a study file.

    Raises:
        StudyFileError: Missing, unreadable, a directory, binary, too large, not YAML, a key twice, not a mapping …
    """
    name = os.fspath(path)
    return parse(_text(name), name)


def parse(text: str, file: str) -> Document:
    """Parse the text of a study file. ``file`` is what errors call it."""
    root = _compose(text, file)
    if root is None:
        raise StudyFileError("is empty", file=file, cure="`outlast init` drafts a study file from a script's --help")
    document = Document({}, file)
    data = _Builder(document, eleven=_says_eleven(text)).build(root, ())
    if not isinstance(data, dict):
        raise StudyFileError(
            f"holds {_kind(data)}, not keys and values", file=file, line=1, cure="a study file begins with `name: …`"
        )
    document.data = data
    return document


def parse_value(text: str, file: str) -> Any:
    """One value as YAML types it (``--set``, the command line): ``1e-3`` a number, ``[a, b]`` a list, empty is null."""
    root = _compose(text, file)
    return None if root is None else _Builder(Document({}, file)).build(root, ())


def read_any(path: str) -> Any:
    """Any YAML or JSON file as plain data, such as a base configuration; an empty one is ``None``.

    Words that the versions of YAML disagree about stay `AsWritten`: whoever reads them next knows which it is.
    """
    root = _compose(text := _text(path), path)
    eleven = _says_eleven(text)
    return None if root is None else _Builder(Document({}, path), keep=True, eleven=eleven).build(root, ())


def _text(name: str) -> str:
    if os.path.isdir(name):
        raise StudyFileError("is a directory, not a study file", file=name, cure=_inside(name))
    if os.path.islink(name) and not os.path.exists(name):
        raise StudyFileError(f"is a link to {os.readlink(name)}, which does not exist", file=name)
    if os.path.exists(name) and not os.path.isfile(name):  # a pipe would be waited for, a device never ends
        raise StudyFileError("is not a regular file", file=name)
    try:
        with open(name, "rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise StudyFileError("does not exist", file=name, cure=_lookalike(name)) from None
    except PermissionError:
        raise StudyFileError("may not be read: no permission", file=name, cure=f"chmod u+r {name}") from None
    except (OSError, ValueError) as error:
        raise StudyFileError(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=name) from None
    if len(raw) > _MAX_BYTES:
        raise StudyFileError(f"is larger than {_MAX_BYTES // 1024} KiB: this is not a study file", file=name)
    if raw.count(b"\n") > _MAX_LINES:
        raise StudyFileError(f"has more than {_MAX_LINES} lines: this is not a study file", file=name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        folder = os.path.dirname(name)
        own = os.path.isdir(
            os.path.join(folder, StudyNames.ledger.name)
        )  # a study's own copy: what it says is on record
        cure = f"outlast repair {folder or '.'}" if own else "save it as UTF-8"
        raise StudyFileError("is not UTF-8 text", file=name, line=line, cure=cure) from None
    if "\0" in text:
        raise StudyFileError("is a binary file", file=name)
    return text


def _inside(folder: str) -> str:
    """The study files in a folder that was named instead of one of them."""
    found = [name for name in names_in(folder) if name.endswith((".yaml", ".yml"))]
    listed = ", ".join(os.path.join(folder, name) for name in found[:5])
    return f"name the YAML file in it: {listed}" if found else "there is no YAML file in it either"


def names_in(folder: str) -> list[str]:
    """What there is in a folder, as far as it can be seen."""
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def _lookalike(name: str) -> str | None:
    from difflib import get_close_matches

    folder, base = os.path.split(name)
    if not os.path.isdir(folder or "."):
        return f"there is no folder `{folder}`"
    close = get_close_matches(base, names_in(folder), n=1)
    return f"did you mean `{os.path.join(folder, close[0])}`?" if close else None


def _says_eleven(text: str) -> bool:
    return _VERSION.match(text) is not None


def _compose(text: str, file: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).compose(_VERSION.sub(r"\1#", text, count=1))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        fact, cure = _explain(str(error.problem or error.context or "not YAML"))
        if cure is None and mark is not None and "${" in "".join(text.splitlines()[mark.line : mark.line + 1]):
            cure = "put text that holds ${…} in quotes: between braces and brackets, a brace of its own ends it"
        raise StudyFileError(fact, file=file, line=None if mark is None else mark.line + 1, cure=cure) from None
    except RecursionError:
        raise StudyFileError(f"is nested too deeply: more than {_MAX_DEPTH} levels", file=file) from None
    except YAMLError as error:
        raise StudyFileError(f"is not YAML text: {str(error).splitlines()[0]}", file=file) from None


def _explain(problem: str) -> tuple[str, str | None]:
    if "\\t" in problem or "tab" in problem:
        return "a tab where YAML wants spaces", "indent with spaces"
    if "mapping values are not allowed" in problem:
        return "a `:` where none may be", "put the text in quotes, or check the indentation above"
    if "undefined alias" in problem:
        return problem, "put text that begins with * in quotes"
    if "another document" in problem:
        return (
            "several documents in one file (`---`)",
            "one study a file: write each into its own, and run them one after the other",
        )
    return f"not YAML: {problem}", None


class _Builder:
    """Nodes to plain data. Aliases are copied, so their number is bounded; each key's line is kept."""

    def __init__(self, document: Document, *, keep: bool = False, eleven: bool = False) -> None:
        self.document = document
        self.keep = keep  # words that the versions of YAML disagree about
        self.eleven = eleven  # the file says that it is YAML 1.1
        self.count = 0
        self.open: set[int] = set()

    def build(self, node: Any, path: Path) -> Any:
        from ruamel.yaml.nodes import MappingNode, ScalarNode

        self.count += 1
        if path not in self.document.places:
            self.document.places[path] = Place(self.document.file, node.start_mark.line + 1)
        if self.count > _MAX_VALUES:
            raise self.fault(node, path, f"holds more than {_MAX_VALUES} values once its aliases are written out")
        if isinstance(node, ScalarNode):
            word = as_written(node.value, str(node.tag)) if node.style is None else None
            if word is not None:
                self.document.written[path] = word
            if node.style is None and str(node.tag).endswith((":int", ":float")):
                self.document.numbers[path] = node.value
            if word is not None and self.eleven and not word.number:
                return word if self.keep else word.pyyaml
            return word if word is not None and self.keep and not word.number else self.scalar(node, path)
        if id(node) in self.open:
            raise self.fault(node, path, "an alias that contains itself")
        if len(self.open) >= _MAX_DEPTH:
            raise self.fault(node, path, f"is nested too deeply: more than {_MAX_DEPTH} levels")
        self.open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self.mapping(node, path)
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self.open.discard(id(node))

    def mapping(self, node: Any, path: Path) -> dict[str, Any]:
        self.check_tag(node, path, "tag:yaml.org,2002:map")
        out: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if str(key_node.tag) == "tag:yaml.org,2002:merge":
                merged |= self.merge(value_node, path)
                continue
            key = self.key(key_node, path)
            if key in lines:
                place = Place(self.document.file, line)
                raise StudyFileError(
                    f"is there twice: on line {lines[key]} and on line {line}",
                    file=place.file,
                    line=line,
                    key=dotted((*path, key)),
                    cure="keep one of them",
                )
            lines[key] = line
            inner: Path = (*path, key)
            self.document.places[inner] = Place(self.document.file, line)
            out[key] = self.build(value_node, inner)
        return {**merged, **out}

    def merge(self, node: Any, path: Path) -> dict[str, Any]:
        """``<<``: keys of another mapping (YAML 1.1, and many W&B files)."""
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        nodes = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in reversed(nodes):
            if not isinstance(source, MappingNode):
                raise self.fault(node, path, "`<<` takes a mapping, or a list of them")
            merged |= self.build(source, path)
        return merged

    def key(self, node: Any, path: Path) -> str:
        from ruamel.yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode):
            raise self.fault(node, path, "a key must be text, not a list or mapping")
        if self.keep and node.style is None:  # whatever it is: only its spelling matters, and that stays
            return AsWritten(node.value, str(node.tag))
        value = self.scalar(node, path)
        if value is None or isinstance(value, bool) or (isinstance(value, str) and not value):
            raise self.fault(node, path, f"`{node.value}` is no key", "put it in quotes")
        return value if isinstance(value, str) else str(node.value)

    def scalar(self, node: Any, path: Path) -> Any:
        tag, text = str(node.tag), node.value
        kind = tag.removeprefix("tag:yaml.org,2002:")
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind in ("int", "float"):
            return self.number(kind, text, node, path)
        if kind in ("str", "timestamp", "merge", "value"):
            if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                raise self.fault(node, path, "holds a character that no argument and no file can (NUL or half a pair)")
            return str(text)
        raise self.fault(node, path, f"a tag `{tag}`: only plain values are read")

    def number(self, kind: str, text: str, node: Any, path: Path) -> Any:
        plain = text.replace("_", "")
        try:
            if kind == "float":
                return float(plain.lower().replace(".inf", "inf").replace(".nan", "nan"))
            sign, digits = (-1, plain[1:]) if plain[:1] == "-" else (1, plain.lstrip("+"))
            base = {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2].lower(), 10)
            return sign * (int(digits, 10) if base == 10 else int(digits[2:], base))
        except ValueError:
            raise self.fault(node, path, f"`{text[:40]}` is not a number", "put text in quotes") from None

    def check_tag(self, node: Any, path: Path, expected: str) -> None:
        if str(node.tag) != expected:
            raise self.fault(node, path, f"a tag `{node.tag}`: only plain values are read")

    def fault(self, node: Any, path: Path, fact: str, cure: str | None = None) -> StudyFileError:
        line = node.start_mark.line + 1
        return StudyFileError(fact, file=self.document.file, line=line, key=dotted(path) or None, cure=cure)


def _kind(data: Any) -> str:
    return {list: "a list", str: "text", bool: "true or false", type(None): "nothing"}.get(type(data), "a number")
