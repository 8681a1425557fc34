"""What the keys of a campaign file may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from msgspec.structs import replace

from outlast.config import native
from outlast.config.load import CAMPAIGN_KEY
from outlast.config.scalars import Anything, Number, Text, Word
from outlast.config.shapes import At, ByType, Fields, ListOf, MapOf, Shape
from outlast.core.file_names import CampaignNames, names_of
from outlast.core.sharing import Share

#: Keys of a study of a campaign that are the campaign's: what it gets of the shared slots.
OF_A_MEMBER: Mapping[str, Shape] = {
    "weight": Number(above=0, description="its part of the slots' time, as compared with the others'; 1 by default"),
    "priority": Number(whole=True, description="with `share: priority`, higher ones come first; 0 by default"),
}


class _StudyShape(Shape, frozen=True):
    """A study: a file, or its keys. What is in it is read study by study, so that one that is wrong hides none."""

    ref: str = "member"

    def read(self, value: Any, at: At) -> Any:
        """As it is."""
        return value

    def _schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, {"$ref": f"#/$defs/{self.ref}"}]}


#: Files that a campaign's folder has: no study's folder can be called so.
TAKEN = tuple(each.name for each in names_of(CampaignNames))
#: How a study may be called: as a folder, and not as a file that the campaign's folder has.
NAMED = rf"^(?!(?:{'|'.join(each.replace('.', '[.]') for each in TAKEN)})$){native.NAME_PATTERN.removeprefix('^')}"
_STUDY = _StudyShape(description="a study file, or its keys; also weight and priority")

#: The whole file.
CAMPAIGN_FILE = Fields(
    {
        "name": Text(native.NAME_PATTERN, native.NAME_SAYS, description="its folder's; the file's by default"),
        "description": Anything(description="for people"),
        "parallel": ByType(
            text=Word(("auto",)),
            scalar=Number(whole=True, least=1),
            description="trials at once, of all studies; auto (the default): their own together, or what the machine holds",
        ),
        "share": Word(
            get_args(Share),
            description="how the slots are shared: weight (the default), priority, or together: all end at the same time",
        ),
        "notify": replace(native.NOTIFY, description="who is told of what happens to any of them"),
        "base": _StudyShape("base", description="a study file, or its keys: what every study extends"),
        CAMPAIGN_KEY: ByType(
            mapping=MapOf(
                _STUDY, keys=NAMED, says=f"a study's name ({native.NAME_SAYS}, and none of {', '.join(TAKEN)})", least=1
            ),
            items=ListOf(_STUDY, least=1),
            description="each by its name: a study file, or its keys with `weight` (its part of the slots, 1 by default) and "
            "`priority` (0 by default); or a list of files, or of keys with `name`",
        ),
        "matrix": native.STUDY_FILE.shapes["matrix"],
    },
    required=(CAMPAIGN_KEY,),
    hints=dict.fromkeys(native.STUDY_FILE.shapes, f"it is a study's: write it below `base:` or below one of `{CAMPAIGN_KEY}:`"),
    description="A campaign: several studies",
)  # fmt: skip
