"""The command of a campaign: its words as they are put on record, and what they ask for when they are read again."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from outlast.cli.invocation import Invocation
from outlast.config.secrets import is_secret_name, mask_address, secret_in
from outlast.config.store_address import masked_address

if TYPE_CHECKING:
    from outlast.cli.targets.search_request import SearchRequest

#: Flags that are about one run, and not about what the campaign is.
_ONCE = ("--detach", "--fresh", "--resume", "--accept-changes", "--dry-run", "--unless-over")


def request_of(words: Sequence[str]) -> SearchRequest | None:
    """What a command line asks for that takes studies, such as ``run a.yaml --trials 5``; ``None`` for another one."""
    from outlast.cli.app import app
    from outlast.cli.targets.search_request import SearchRequest

    invocation = Invocation(words)
    command = app.commands.get(words[0]) if words else None
    if command is None:
        return None
    try:
        above = click.Context(app, info_name="outlast", obj=invocation, **app.context_settings)
        given = command.make_context(words[0], invocation.before[1:], parent=above).params
    except click.ClickException:  # of another version
        return None
    asked = {name: given[name] for name in SearchRequest.__struct_fields__ if name in given}
    return SearchRequest(invocation, **asked) if "overrides" in asked else None


def words_on_record(invocation: Invocation) -> tuple[str, ...]:
    """The words that are put on record. A change that holds a secret is none of them: as of `env`, it is asked for again."""
    kept: list[str] = []
    words = iter(word for word in invocation.before if word not in _ONCE)
    for word in words:
        given = [word, *itertools.islice(words, 1)] if word in ("--set", "--index", "--storage") else [word]
        if not _holds_a_secret(given[-1].removeprefix("--set=")):
            kept += given
    return tuple(kept)


def _holds_a_secret(word: str) -> bool:
    key, _, value = word.partition("=")
    name = key.rpartition(".")[2]
    if "notify" in key.split(".") and name != "what":  # an address is a secret, but where the environment has all of it
        return any(each != mask_address(each) for each in re.split(r"[\s,\[\]\"']+", value))
    hidden = secret_in(word) or masked_address(word) != word
    return hidden or secret_in(value, name) or (".env." in f".{key}." and is_secret_name(name))
