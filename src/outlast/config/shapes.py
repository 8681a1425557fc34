"""Shapes: what a key of the study file may hold. Each reads a value, or says what is wrong, and knows its JSON Schema.

Reader and schema come from the same objects, so that what one accepts the other accepts. Here: what holds others (lists,
mappings, alternatives); words and numbers are in `outlast.config.scalars`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from outlast.config.yaml import Document, Path
from outlast.core.nearest import nearest
from outlast.errors import StudyFileError


class At(Struct, frozen=True):
    """A place in a document: where a shape reads, and what its errors name."""

    document: Document
    path: Path = ()

    def child(self, key: str | int) -> At:
        """The place of a key or list item below."""
        return At(self.document, (*self.path, key))

    def error(self, fact: str, cure: str | None = None) -> StudyFileError:
        """The error for what is wrong here."""
        return self.document.error(self.path, fact, cure)


class Shape(Struct, frozen=True, kw_only=True):
    """What a value may be.

    Attributes:
        description: What the key is for, on the reference page.
    """

    description: str = ""

    @abstractmethod
    def read(self, value: Any, at: At) -> Any:
        """The value, converted. Raises `StudyFileError` with what is allowed."""

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what `read` accepts."""
        return described(self._schema(), description=self.description)

    @abstractmethod
    def _schema(self) -> dict[str, Any]: ...


class ListOf(Shape, frozen=True):
    """A list; every item of one shape; read as a tuple."""

    item: Shape
    least: int = 0

    def read(self, value: Any, at: At) -> tuple[Any, ...]:
        """The items."""
        if not isinstance(value, (list, tuple)):
            raise at.error(f"must be a list, not {show(value)}", f"write `[{value}]`" if is_scalar(value) else None)
        if len(value) < self.least:
            raise at.error("must not be empty")
        return tuple(self.item.read(item, at.child(i)) for i, item in enumerate(value))

    def _schema(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "array", "items": self.item.schema()}
        return described(out, minItems=self.least or None)


class MapOf(Shape, frozen=True):
    """A mapping with any keys (of a pattern); every value of one shape."""

    value: Shape
    keys: str | None = None
    says: str = "a name"
    least: int = 0

    def read(self, value: Any, at: At) -> dict[str, Any]:
        """The mapping."""
        if not isinstance(value, Mapping):
            raise at.error(f"must be keys and values, not {show(value)}")
        if len(value) < self.least:
            raise at.error("must not be empty")
        for key in value:
            if self.keys and not re.search(self.keys, key):
                raise at.child(key).error(f"`{key}` is not {self.says}")
        return {key: self.value.read(item, at.child(key)) for key, item in value.items()}

    def _schema(self) -> dict[str, Any]:
        names = {"pattern": self.keys} if self.keys else None
        out: dict[str, Any] = {"type": "object", "additionalProperties": self.value.schema()}
        return described(out, propertyNames=names, minProperties=self.least or None)


class Fields(Shape, frozen=True):
    """A mapping with known keys. An optional key may be null, which means: as if it were not there."""

    shapes: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    open: bool = False  # further keys are taken as they are
    rest: Shape | None = None  # what further keys may hold, where they are taken
    never: tuple[str, ...] = ()  # keys that are refused all the same (by whoever reads on, with a reason)
    hints: Mapping[str, str] = {}  # the cure for a key that is somebody else's word

    def read(self, value: Any, at: At) -> dict[str, Any]:
        """The keys that are there, each read by its shape."""
        if not isinstance(value, Mapping):
            raise at.error(f"must be keys and values ({', '.join(self.shapes)}), not {show(value)}")
        out: dict[str, Any] = {}
        for key, item in value.items():
            if key in self.shapes:
                if item is not None or key in self.required:
                    out[key] = self.shapes[key].read(item, at.child(key))
            elif self.open:
                out[key] = item if self.rest is None or key in self.never else self.rest.read(item, at.child(key))
            else:
                allowed = ", ".join(self.shapes)
                cure = self.hints.get(key.lower().replace("-", "_")) or nearest(key, self.shapes)
                raise at.child(key).error(f"unknown key; allowed here: {allowed}", cure)
        for key in self.required:
            if key not in out:
                raise at.error(f"needs `{key}`", f"add `{key}: …`")
        return out

    def _schema(self) -> dict[str, Any]:
        properties = {key: shape.schema() for key, shape in self.shapes.items()}
        properties |= {key: nullable(properties[key]) for key in self.shapes if key not in self.required}
        out: dict[str, Any] = {"type": "object", "properties": properties}
        if not self.open or self.rest is not None:
            out["additionalProperties"] = False if self.rest is None or not self.open else self.rest.schema()
        if self.never:
            out["propertyNames"] = {"not": {"enum": list(self.never)}}
        return described(out, required=list(self.required) or None)


class ByType(Shape, frozen=True):
    """One of several shapes, chosen by whether the value is text, a list, a mapping, or another scalar."""

    text: Shape | None = None
    items: Shape | None = None
    mapping: Shape | None = None
    scalar: Shape | None = None  # numbers, and true and false

    def read(self, value: Any, at: At) -> Any:
        """What the shape for this kind of value reads."""
        shape = self.scalar
        if isinstance(value, str):
            shape = self.text
        elif isinstance(value, (list, tuple)):
            shape = self.items
        elif isinstance(value, Mapping):
            shape = self.mapping
        elif value is None:
            shape = None
        if shape is None:
            kinds = {"text": self.text, "a list": self.items, "keys and values": self.mapping, "a number": self.scalar}
            allowed = " or ".join(kind for kind, known in kinds.items() if known is not None)
            raise at.error(f"must be {allowed}, not {show(value)}")
        return shape.read(value, at)

    def _schema(self) -> dict[str, Any]:
        kinds = {"string": self.text, "array": self.items, "object": self.mapping}
        options = [_typed(shape.schema(), kind) for kind, shape in kinds.items() if shape is not None]
        if self.scalar is not None:
            options.append(_typed(self.scalar.schema(), ["number", "boolean"]))
        return {"anyOf": options}


class Checked(Shape, frozen=True):
    """A shape with a function that converts what it read. The schema is the shape's."""

    shape: Shape
    convert: Callable[[Any, At], Any]

    def read(self, value: Any, at: At) -> Any:
        """What the function makes of it."""
        return self.convert(self.shape.read(value, at), at)

    def _schema(self) -> dict[str, Any]:
        return self.shape.schema()


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or null."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    if not any(key in schema for key in ("type", "anyOf", "$ref")):
        return schema
    description = {"description": schema["description"]} if "description" in schema else {}
    inner = {key: value for key, value in schema.items() if key != "description"}
    return {**description, "anyOf": [*(inner["anyOf"] if list(inner) == ["anyOf"] else [inner]), {"type": "null"}]}


def is_scalar(value: Any) -> bool:
    """Whether it is a number, true, false, or text."""
    return isinstance(value, (bool, int, float, str))


def show(value: Any) -> str:
    """A value in an error message, short."""
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _typed(schema: dict[str, Any], kind: str | list[str]) -> dict[str, Any]:
    return schema if any(key in schema for key in ("type", "enum", "anyOf")) else {"type": kind, **schema}


def described(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The schema with further keywords; those that say nothing are left out."""
    return {**schema, **{key: value for key, value in more.items() if value not in (None, "")}}
