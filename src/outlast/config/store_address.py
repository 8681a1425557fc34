"""Where a store of Optuna's is: what a person writes for one, as a path, a URL of SQLite or of a server."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote

from msgspec import Struct

from outlast.config.secrets import ADDRESS_VARIABLE, MASK, SECRET_OPTION, mask_text, variables_in, with_variables
from outlast.errors import UsageError

Kind = Literal["sqlite", "journal", "redis", "server"]

#: How long one try waits for a store, in seconds, where nobody says: for its lock, or for its server to answer.
WAIT_SECONDS = 10.0
#: What a journal that is not there yet is called; anything else is a database.
_JOURNALS = (".log", ".jsonl", ".journal")
_SQLITE_MAGIC = b"SQLite format 3\x00"
#: As SQLAlchemy reads it; also behind ``index=`` and ``--index=``. An ``@`` that should have been ``%40`` is the password's.
_USER = re.compile(
    r"(?s)^(?P<scheme>(?:[\w.-]+=)*(?:\{\s*url:\s*)?[\"']?[A-Za-z][\w+.-]*://)(?P<user>(?:\$\{[^{}]*\}|[^/:?#])*)"
    r":(?P<password>.*)@(?P<rest>[^@]*)$"
)
_VARIABLES = rf"(?:{ADDRESS_VARIABLE})+"


class StoreAddress(Struct, frozen=True):
    """A store. Its text is what people are shown: without its password."""

    kind: Kind
    shown: str
    file: str = ""  # of SQLite or a journal
    url: str = ""  # of a server, with its password
    timeout: float = WAIT_SECONDS
    secrets: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind!r}, {self.shown!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("kind", self.kind), ("shown", self.shown)]

    def without_secrets(self, text: object) -> str:
        """A message without what the address keeps secret: drivers repeat parts of it."""
        said = str(text)
        for secret in self.secrets:
            said = said.replace(secret, MASK)
        return mask_text(said)


def store_address(
    given: str, *, environment: Mapping[str, str], folder: str = ".", timeout: float | None = None
) -> StoreAddress:
    """Read what a person wrote for a store.

    Args:
        given: A path, ``sqlite:///path?timeout=60``, or any URL that Optuna takes; ``${NAME}`` is taken from the environment.
        environment: Where from.
        folder: Where relative paths start.
        timeout: Seconds, where the address itself does not say.

    Raises:
        UsageError: The environment lacks something, or it is no address.
    """
    taken = variables_in(given)
    if lacking := [name for name in taken if not environment.get(name)]:
        raise UsageError(f"{masked_address(given)} needs {', '.join(lacking)}, which the environment does not have")
    url = _filled(given, environment)
    wait = WAIT_SECONDS if timeout is None else timeout
    shown = masked_address(given)
    if "://" not in url or url.startswith(("sqlite:", "sqlite+")):
        return _file(url, shown, folder, wait)
    return _server(url, shown, wait)


def masked_address(given: str) -> str:
    """An address without its password, whatever that holds, or a word of a command line that names one (``index=…``)."""
    if "://" in given:
        given = re.sub(rf"(?i)({SECRET_OPTION})(?!{_VARIABLES}(?:&|$))[^&]+", rf"\g<1>{MASK}", given)
    match = _USER.match(given)
    if match and match["password"] and not re.fullmatch(_VARIABLES, match["password"]):
        given = f"{match['scheme']}{match['user']}:{MASK}@{match['rest']}"
    return mask_text(given)


def _filled(given: str, environment: Mapping[str, str]) -> str:
    """With the variables' values. In the user's part and in options they mean what they say, as libpq takes PGPASSWORD."""
    scheme, between, rest = given.partition("://")
    if not between or scheme.startswith("sqlite"):
        return with_variables(given, environment)
    literal = {name: quote(environment[name], safe="") for name in variables_in(given)}
    user, at, place = rest.rpartition("@")
    base, mark, query = place.partition("?")
    options = [each.partition("=") for each in query.split("&")]
    said = "&".join(
        f"{with_variables(name, environment)}{equals}{with_variables(value, literal)}"
        for name, equals, value in options
    )
    scheme, base = with_variables(scheme, environment), with_variables(base, environment)
    return f"{scheme}{between}{with_variables(user, literal)}{at}{base}{mark}{said}"


def _file(url: str, shown: str, folder: str, wait: float) -> StoreAddress:
    path, sqlite = url, False
    if "://" in url:
        rest, _, query = url.partition("://")[2].partition("?")
        options = dict(parse_qsl(query))
        if "timeout" in options:
            wait = _seconds(options["timeout"], shown)
        if not rest.startswith("/") or rest == "/":
            raise UsageError(f"{shown} names no file", cure="sqlite:///relative/path or sqlite:////absolute/path")
        path, sqlite = unquote(rest[1:]), True
    file = os.path.abspath(os.path.join(folder, os.path.expanduser(path)))
    if os.path.isdir(file):
        raise UsageError(f"{shown} is a folder", cure="name a database or a journal file in it")
    return StoreAddress("sqlite" if sqlite or not _is_journal(file) else "journal", shown, file, timeout=wait)


def _seconds(text: str, shown: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{shown}: its timeout is no number of seconds") from None


def _is_journal(file: str) -> bool:
    """By what is in it; by its name where nothing is."""
    try:
        with open(file, "rb") as opened:
            begin = opened.read(16)
    except OSError:
        begin = b""
    if begin:
        return begin != _SQLITE_MAGIC and begin.lstrip().startswith(b"{")
    return file.endswith(_JOURNALS)


def _server(url: str, shown: str, wait: float) -> StoreAddress:
    scheme, _, rest = url.partition("://")
    base, between, query = rest.partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    wait = next((_seconds(value, shown) for key, value in options if key == "timeout"), wait)
    if between:
        kept = [each for each in query.split("&") if not each.startswith("timeout=") and not each.endswith(f"={MASK}")]
        base = f"{base}?{'&'.join(kept)}".rstrip("?")
    url = f"{scheme}://{base}".replace(
        f":{MASK}@", "@"
    )  # on record without its password: libpq may know it from elsewhere
    kind: Kind = "redis" if scheme.startswith(("redis", "unix")) else "server"
    return StoreAddress(kind, shown, url=url, timeout=wait, secrets=_secrets(url))


def _secrets(url: str) -> tuple[str, ...]:
    """Every way in which a message may repeat a password: as typed, decoded, and cut where an ``@`` in it was misread."""
    found: list[str] = []
    if match := _USER.match(url):
        typed = match["password"]
        found += [typed, unquote(typed), *(part for part in typed.split("@") if len(part) > 3)]
    typed_options = re.findall(rf"(?i){SECRET_OPTION}([^&]+)", url)
    found += [*typed_options, *map(unquote, typed_options)]
    return tuple(sorted({each for each in found if each and each != MASK}, key=len, reverse=True))
