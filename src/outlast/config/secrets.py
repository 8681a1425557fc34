"""Secrets never reach records, differences or reports.

A secret is known by its name (``HF_TOKEN``, ``--api-key``), by its form (``hf_…``, ``ghp_…``), or by where it stands (the
password of a URL). The forms are those that the providers document, so that leaked tokens can be found:
https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

# Patterns are text, which `re` compiles when one is first used and keeps: whoever only looks at a study uses none.

#: What stands in a secret's place.
MASK = "***"
#: A variable of the environment in an address: ``${NTFY_URL}``; also as it is written in a command.
ADDRESS_VARIABLE = r"\$\{(?:envvar:|env:)?([A-Za-z_]\w*)\}"
_MASKED = r"(?<!\*)\*{3}(?!\*)"


def variables_in(text: str) -> list[str]:
    """The variables of the environment that an address names."""
    return re.findall(ADDRESS_VARIABLE, text)


def with_variables(text: str, environment: Mapping[str, str]) -> str:
    """An address with the variables' values in place; one that is not there is empty."""
    return re.sub(ADDRESS_VARIABLE, lambda match: environment.get(match[1], ""), text)


#: The names of environment variables and of keys for services: whatever ends like this is kept to ourselves.
_ENVIRONMENT_NAME = (
    r"(?i:(?:^|[_-])(?:API_?)?(?:KEY|TOKEN|SECRET)$|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL"
    r"|(?:^|[_-])(?:PASS|PAT|DSN|SAS|COOKIE|CONN(?:ECTION)?[_-]?STR(?:ING)?)$|[_-]PWD$)"
    r"|[a-z](?:Key|Token|Secret)$"
)
#: In a command or a parameter, ``key`` and ``token`` are mostly the search's own words (``pad_token``, ``sort-key``): a
#: credential says whose or what for.
_WHOSE = (
    "access|account|admin|anthropic|api|auth|aws|azure|bearer|bot|client|comet|consumer|gcp|gh|gitee|github|gitlab|google"
    "|hf|hub|huggingface|kaggle|mlflow|neptune|openai|private|pypi|refresh|registry|sas|secret|service|shared|slack|telegram"
    "|wandb|webhook"
)
_CREDENTIAL = (
    rf"(?i)(?:^|[_.-])(?:(?:{_WHOSE})(?:[_-]?(?:api|access|auth|secret|account))?[_-]?(?:key|token|secret|pat)"
    r"|secret|password|passwd|passphrase|pass|pwd|github[_-]?pat|conn(?:ection)?[_-]?str(?:ing)?|dsn)$"
)
#: A scheme is short: without a bound, a long line of hex costs the square of its length.
#: A password that is a macro (``${envvar:DB_PASSWORD}``) is none.
_MACRO = r"(?!(?:\$\{[^{}\s]*\}|[^/\s:@{}])*:\$\{[^{}\s]*\}@)"
_IN_URL = rf"((?<![a-zA-Z])[a-zA-Z][a-zA-Z0-9+.-]{{0,30}}://{_MACRO}[^/\s:@]*:)[^/\s@]+(?=@)"
#: The password of a database may hold what in other addresses ends it: up to the last ``@`` of the word.
_IN_STORE = (
    r"(?i)((?<![a-z])(?:postgres(?:ql)?|mysql|mariadb|rediss?|oracle|mssql|cockroachdb|mongodb)(?:\+\w+)?://"
    rf"{_MACRO}[^/\s:?#]*:)[^\s\"']+(?=@)"
)
#: Options of an address that are a password: libpq's ``password`` and ``sslpassword``, others' ``passwd``.
SECRET_OPTION = r"[?&](?:[\w.-]*(?:password|passwd|passphrase|pwd)|(?:[\w.-]*[_.-])?pass)="  # noqa: S105
_IN_OPTION = rf"(?i)({SECRET_OPTION})(?!\$\{{)[^&\s\"'#]+"
_WEBHOOK = r"(https://hooks\.slack\.com/services/|https://discord(?:app)?\.com/api/webhooks/)[^\s\"']+"
_FORMS = (
    r"(?<![\w-])(?:hf_[A-Za-z0-9]{20,}|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|npm_[A-Za-z0-9]{30,}"
    r"|sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{20,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)|AIza[\w-]{30,}"
    r"|pypi-AgEI[\w-]{20,}|dckr_pat_[\w-]{20,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)"
)
_IN_CONNECTION = r"(?i)((?:AccountKey|SharedAccessKey|SharedAccessSignature)=|\bBearer )(?!\$)[\w+/=.%&-]{12,}"
_PRIVATE_KEY = r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*"
#: ``NAME=value``, ``--name=value``, ``--name value``: name and value of what a line of shell or a word of a command sets.
_SET = (
    r"(?<![\w${./-])(?:(-{0,2})([A-Za-z][\w.-]*)(=)|(-{1,2})([A-Za-z][\w.-]*)(\s+)(?!-|=\s|[\w.-]+=[^=]))"
    r"(\"[^\"]*\"|'[^']*'|[^\s\"']+)"
)
#: The same in code and in settings files: blanks around ``=`` and ``:``, names in quotes, values in quotes or to the line's end.
_ASSIGNED = (
    r"(?<![\w$.])([\"']?)([A-Za-z_][\w.-]*)\1([ \t]*(?::(?!:)|=(?!=))[ \t]*)"
    r"(\"[^\"\n]+\"|'[^'\n]+'|[^\s\"'()\[\]{},;#]+(?=[ \t]*(?:#.*)?$))"
)
_TYPE = r"(?:str|bytes|int|float|bool|object|Any|None|SecretStr)$"
#: A long value in quotes that somebody calls a key (``login(key="…")``) is one in code, where a search's own words are short.
_KEY_IN_CODE = r"(?i)(\b(?:key|token|secret|auth)[\"']?\s*[=:]\s*)([\"'])[\w+/=-]{24,}\2"
#: A value that only says where the secret is (a macro, a variable, a file) or that a person would not mask.
_ELSEWHERE = (
    r"(?i)^[\"']?(?:[$`]|~?/|\.{1,2}/|-|$)|\.(?:json|ya?ml|toml|txt|pem|key|crt|env|ini)[\"']?$"
    r"|^(?:true|false|none|null|\d{1,4})$"
)
#: Below these, names are the search's own (``pad_token``), not credentials.
_OWN_NAMES = ("parameters", "enqueue", "metric", "constraints", "matrix")


def is_secret_name(name: str) -> bool:
    """Whether a value by this name is kept to ourselves: ``*_KEY``, ``*_TOKEN``, ``*_PAT``, ``*PASSWORD*`` and the like."""
    return bool(re.search(_ENVIRONMENT_NAME, name))


def secret_in(value: Any, name: str = "") -> bool:
    """Whether a value would put a secret on record: one that stands in it, or the whole by its name.

    Args:
        value: Text, a list of words, or anything else.
        name: What the value is called, such as a parameter; only names that can be nothing but a credential count.
    """
    if isinstance(value, str):
        return mask_text(value) != value or bool(name and _is_credential(name, value))
    return isinstance(value, (list, tuple)) and _mask_words(value) != list(value)


def mask_text(text: str) -> str:
    """The text without its secrets: passwords in URLs, webhook addresses, tokens, what a credential's name is given."""
    for place in (_IN_OPTION, _IN_STORE, _IN_URL):
        text = re.sub(place, rf"\g<1>{MASK}", text)
    text = re.sub(_WEBHOOK, rf"\g<1>{MASK}", text)
    text = re.sub(_PRIVATE_KEY, MASK, re.sub(_FORMS, MASK, text))
    text = re.sub(_IN_CONNECTION, rf"\g<1>{MASK}", text)
    return re.sub(_SET, _masked_setting, text)


def mask_code(text: str) -> str:
    """`mask_text` for code, settings files and differences of them, where more than that sets a credential."""
    text = re.sub(_KEY_IN_CODE, rf"\g<1>\g<2>{MASK}\g<2>", mask_text(text))
    return re.sub(rf"(?m){_ASSIGNED}", _masked_assignment, text)


def mask_address(url: str) -> str:
    """An Apprise URL without what it says behind its scheme, which for most services is the secret itself: ``ntfy://***``.

    One that takes all of it from the environment (``${NTFY_URL}``, ``tgram://${BOT}/${CHAT}``) says nothing and stays.
    """
    scheme, between, rest = url.partition("://") if "://" in url else ("", "", url)
    return url if re.fullmatch(r"(?:\$\{[\w:]+\}|[/:@?&=.,#-])*", rest) else f"{scheme}{between}{MASK}"


def is_masked(text: str) -> bool:
    """Whether a secret stood here before it was recorded."""
    return bool(re.search(_MASKED, text))


def mask_secrets(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with every secret replaced by ``***``: by name, and by form wherever it stands."""
    return {
        key: _mask(value, by_name=key not in _OWN_NAMES) if not _hidden(key, value) else MASK
        for key, value in mapping.items()
    }


def mask_inside(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without the secrets that are known by their form, however deep they stand; names say nothing here."""
    return {key: _mask(value, by_name=False) for key, value in mapping.items()}


def _is_credential(name: str, value: str) -> bool:
    return value != MASK and bool(re.search(_CREDENTIAL, name)) and not re.search(_ELSEWHERE, value)


def _masked_setting(match: re.Match[str]) -> str:
    dashes, name, between, value = match.group(1, 2, 3, 7) if match[3] else match.group(4, 5, 6, 7)
    return f"{dashes}{name}{between}{MASK}" if _is_credential(name, value) else match[0]


def _masked_assignment(match: re.Match[str]) -> str:
    quote, name, between, value = match.groups()
    inside = value.strip("\"'")
    if not _is_credential(name, inside) or (inside == value and re.match(_TYPE, value)):
        return match[0]
    return f"{quote}{name}{quote}{between}{value.replace(inside, MASK)}"


def _mask_words(words: Sequence[Any]) -> list[Any]:
    """The words of a command: a flag that is a credential's name hides the next word."""
    masked = [mask_text(word) if isinstance(word, str) else word for word in words]
    for index, (flag, value) in enumerate(pairwise(words), start=1):
        named = isinstance(flag, str) and flag.startswith("-") and "=" not in flag
        if named and isinstance(value, str) and _is_credential(flag.lstrip("-"), value):
            masked[index] = MASK
    return masked


def _hidden(key: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    return is_secret_name(key) and not (re.search(r"(?i)(pass|pat|pwd)$", key) and re.fullmatch(r"\d{1,4}", str(value)))


def _mask(value: Any, *, by_name: bool) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {k: MASK if by_name and _hidden(k, v) else _mask(v, by_name=by_name) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return _mask_words([_mask(item, by_name=by_name) if not isinstance(item, str) else item for item in value])
    return value
