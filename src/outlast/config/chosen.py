"""Something that a study file names, with options of its own: a sampler, a pruner, an executor, a person's own tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from typing_extensions import Self


class ChosenSettings(Struct, frozen=True, kw_only=True):
    """Something by its name or the dotted path of a class, and options of its own."""

    name: str = ""
    options: dict[str, Any] = {}

    @classmethod
    def of(cls, given: str | Mapping[str, Any]) -> Self:
        """What a study file says: a name, or a mapping with it, with keys of ours, and with options."""
        if isinstance(given, str):
            return cls(name=given)
        own = {key: given[key] for key in cls.__struct_fields__ if key in given and key != "options"}
        return cls(**own, options={key: value for key, value in given.items() if key not in own})
