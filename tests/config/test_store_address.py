"""Addresses of stores: whatever a password holds and wherever it stands, it is used as it is and shown nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.pretty import pretty_repr
from sqlalchemy.engine import make_url

from outlast.cli.main import run_cli
from outlast.cli.running.detached import _without_secrets
from outlast.config.load import settings_from_resolved
from outlast.config.overrides import parse_override
from outlast.config.secrets import MASK, mask_text
from outlast.config.settings import IndexSettings
from outlast.config.store_address import masked_address, store_address
from outlast.errors import UsageError

STUDY: dict[str, Any] = {
    "name": "s",
    "command": "python t.py ${args}",
    "metric": "minimize x",
    "parameters": {"lr": [1, 2]},
    "budget": {"trials": 2},
}
#: Where a password stands in an address.
PLACES = [
    "postgresql://me:{}@h/db",
    "postgresql+psycopg2://me:{}@h:5432/db?sslmode=require&connect_timeout=3",
    "mysql+pymysql://me@cloud:{}@h/db",
    "redis://:{}@h:6379/0",
    "postgresql://${{env:WHO}}:{}@h/db",
    "postgresql://h/db?user=me&password={}",
    "postgresql://h:5432/db?password={}&sslmode=require",
    "postgresql://h/db?sslkey=/k&sslpassword={}",
]
#: What a password may hold. Both halves of each are looked for.
PASSWORDS = [
    "hushQ77x",
    "hush/Q77x",
    "hush@Q77x",
    "hush:Q77x",
    "hush%2FQ77x",
    "hush{x}Q77x",
    "@hush:/@Q77x",
    "hush Q77x",
]


def resolved(url: str) -> str:
    return repr(settings_from_resolved({**STUDY, "index": url}, ".").resolved)


def resolved_with_more(url: str) -> str:
    return repr(settings_from_resolved({**STUDY, "index": {"url": url, "timeout": "30s"}}, ".").resolved)


#: What shows an address, or a word that names one.
SHOWS: dict[str, Callable[[str], str]] = {
    "people": masked_address,
    "the record": resolved,
    "the record of a section": resolved_with_more,
    "a command line": lambda url: " ".join(_without_secrets(["run", "s.yaml", "--index", url, "--detach"])[0]),
    "a command line's one word": lambda url: " ".join(_without_secrets(["run", f"--storage={url}"])[0]),
    "a change": lambda url: " ".join(_without_secrets(["run", "--set", f"index={url}", "--set=budget.trials=3"])[0]),
    "a change in one word": lambda url: " ".join(_without_secrets(["run", f'--set=index.url="{url}"'])[0]),
    "the place of a change": lambda url: parse_override(f'index.url="{url}"')[2].file,
}


@pytest.mark.parametrize("show", SHOWS.values(), ids=SHOWS)
@pytest.mark.parametrize("place", PLACES)
def test_no_password_is_shown_whatever_it_holds(place: str, show: Callable[[str], str]) -> None:
    for password in PASSWORDS:
        if show in (resolved, resolved_with_more) and "{" in password:
            continue  # braces are ours there, and refused
        shown = show(place.format(password))
        assert "hush" not in shown and "Q77" not in shown, password


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("password", [each for each in PASSWORDS if " " not in each])
def test_nor_within_a_sentence(place: str, password: str) -> None:
    said = mask_text(f'FATAL: "{place.format(password)}" cannot be reached, tell a@b.org')
    assert "hush" not in said and "Q77" not in said
    assert said.endswith("cannot be reached, tell a@b.org")


@pytest.mark.parametrize("place", PLACES)
def test_the_address_itself_shows_no_password_however_it_is_printed(place: str) -> None:
    address = store_address(place.format("hushQ77x"), environment={"WHO": "me"})
    assert "hush" in address.url and not any("hush" in text for text in (repr(address), str(address), f"{[address]}"))
    assert "hush" not in pretty_repr(address)


def test_what_was_handed_over_is_the_address() -> None:
    words, secrets = _without_secrets(["run", "--set", 'index.url="postgresql://me:hush@h/db"', "--detach"])
    assert words == ["run", "--index=${OUTLAST_INDEX}", "--detach"]
    assert secrets == {"OUTLAST_INDEX": "postgresql://me:hush@h/db"}
    with pytest.raises(UsageError, match="within braces") as error:
        _without_secrets(["run", "--set", "index={url: postgresql://me:hush@h/db, timeout: 3}"])
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:${PW}@h/db", "postgresql://${env:WHO}:${env:PW}@h/db", "postgresql://h/db?user=me&password=${PW}",
        "postgresql://h/db?passfile=/home/me/.pgpass", "postgresql://me@h/db", "${STORE}", "sqlite:///a:b@c/x.db?timeout=60",
        "searches.db", "--set=budget.trials=3", "sampler.name=tpe",
    ],
)  # fmt: skip
def test_what_holds_no_secret_stays_as_it_is(address: str) -> None:
    assert masked_address(address) == address


ODD = "a@b%2F/?:&=#c"


@pytest.mark.parametrize(
    ("address", "environment"),
    [
        ("postgresql://me:${PW}@h/db", {"PW": ODD}),
        ("postgresql://${WHO}:${env:PW}@h/db?application_name=x", {"WHO": "me", "PW": ODD}),
        ("postgresql://h/db?user=me&password=${PW}", {"PW": ODD}),
        ("${STORE}", {"STORE": "postgresql://me:a%40b%252F%2F%3F%3A%26%3D%23c@h/db"}),
    ],
)
def test_a_variable_is_the_password_as_it_is(address: str, environment: dict[str, str]) -> None:
    found = store_address(address, environment=environment)
    url = make_url(found.url)
    assert (url.host, url.database) == ("h", "db")
    assert url.password == ODD or url.query["password"] == ODD
    assert str(found) == address
    assert found.without_secrets(f"password {ODD} of me failed") == f"password {MASK} of me failed"


def test_an_address_from_a_record_leaves_its_password_to_others() -> None:
    for place in ("postgresql://me:{}@h/db", "postgresql://h/db?user=me&password={}&sslmode=require"):
        url = make_url(store_address(masked_address(place.format("hush")), environment={}).url)
        assert url.password is None and "password" not in url.query


def test_an_error_at_a_store_has_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(
        "command: echo ${args}\nmetric: minimize x\nparameters: {lr: [1, 2]}\nbudget: {trials: 1}\n"
    )
    assert run_cli(["check", "s.yaml", "--index", "postgresql://me:hushQ77x@h/{nope}"]) == 2
    said = capsys.readouterr()
    assert "{nope}" in said.err and "hush" not in said.out + said.err


def test_a_store_beside_nothing_kept_is_none() -> None:
    from outlast.engine.derived.indexes import store_of

    both = settings_from_resolved({**STUDY, "index": {"url": "x.db", "in_memory": True}}, ".")
    assert both.index == IndexSettings(url="x.db", in_memory=True)
    assert any("index.url" in note for note in both.notes)
    assert store_of(both) is None
