"""Who may ask: this server's own names, its own pages, and whoever has its token. In front of every route.

A cookie goes to every port of a host (https://www.rfc-editor.org/rfc/rfc6265#section-8.5), also to another user's server on the
same machine. Hence a cookie alone opens nothing but an empty page: data and actions need the page's key as well, which lies in
the storage of the page's own origin and travels in a header that no other origin can send.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outlast.serve.saying import complain

#: Where the page itself is.
HOME = "/"
#: The header with the page's key.
KEY_HEADER = "x-outlast-page"
_LIFE = 30 * 24 * 3600  # seconds that a browser keeps the cookie; a new token voids it before
_READING = ("GET", "HEAD")
_ALWAYS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_NOTHING = b"default-src 'none'; frame-ancestors 'none'; sandbox"


class Secrets:
    """The token, and what follows from it: a cookie and a page's key, from which nobody can tell the token or each other."""

    def __init__(self, token: str, port: int) -> None:
        self._token = token
        self.cookie_name = f"outlast_{port}"
        self.cookie, self.key = (
            hmac.new(token.encode(), use.encode(), hashlib.sha256).hexdigest() for use in ("cookie", "page")
        )

    @property
    def set_cookie(self) -> str:
        """The header's value that gives a browser the cookie."""
        return f"{self.cookie_name}={self.cookie}; Path=/; Max-Age={_LIFE}; HttpOnly; SameSite=Strict"

    def is_token(self, given: str) -> bool:
        """Whether this is the token; how long it takes says nothing about it."""
        return _same(given, self._token)

    def is_cookie(self, header: str) -> bool:
        """Whether a ``Cookie`` header has ours, whatever others of this host have put beside it."""
        pairs = (each.strip().partition("=") for each in header.split(";"))
        return any(_same(value, self.cookie) for name, _, value in pairs if name == self.cookie_name)

    def is_key(self, given: str) -> bool:
        """Whether this is the page's key."""
        return _same(given, self.key)


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), known.encode())


class Access:
    """Passes on what may be asked, with the token checked in constant time; everything else gets an answer with nothing in it.

    ``scope["outlast.token"]`` says to the page's route that the request came with the token itself.

    Args:
        app: What answers.
        secrets: Of this server.
        names: The ``Host`` headers that it answers to, with the port.
    """

    def __init__(self, app: ASGIApp, *, secrets: Secrets, names: Iterable[str]) -> None:
        self._app, self._secrets, self._names = app, secrets, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return  # no websocket is offered, and uvicorn ends one that is not accepted
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer, begun = self._app, False
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            status, text = refusal
            answer = PlainTextResponse(text + "\n", status, headers={"connection": "close"})

        async def send_safely(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = _with_ours(message.get("headers", ()))
            await send(message)

        try:
            await answer(scope, receive, send_safely)
        except Exception as error:  # the others' pages go on; whoever watches the terminal learns of it
            complain(f"no answer to a page: {type(error).__name__}: {error}")
            if not begun:
                await PlainTextResponse("something went wrong\n", 500)(scope, receive, send_safely)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        if headers.get("host", "").lower() not in (self._names | _came_in_on(scope)):
            return 421, "This server answers to its own address only, the port included."
        own = f"http://{headers['host'].lower()}"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin.lower() != own:
            return 403, "This is for its own page only."
        method, is_home = scope["method"], scope["path"] == HOME
        if method not in (*_READING, "POST"):
            return 405, "Not this way."
        if site not in ("none", "same-origin") and not (is_home and method in _READING):
            return 403, "This is for its own page only."
        word, _, bearer = headers.get("authorization", "").partition(" ")
        if word.lower() == "bearer":
            allowed = self._secrets.is_token(bearer.strip())
        elif is_home:
            allowed = self._comes_home(scope, headers)
        else:
            cookie, key = headers.get("cookie", ""), headers.get(KEY_HEADER, "")
            allowed = self._secrets.is_cookie(cookie) & self._secrets.is_key(key)
            if allowed and method == "POST" and origin is None:
                return 403, "This is for its own page only."
        return None if allowed else (401, "Open the address that `outlast serve` printed when it started.")

    def _comes_home(self, scope: Scope, headers: dict[str, str]) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given is not None:
            scope["outlast.token"] = self._secrets.is_token(given[0])
            return bool(scope["outlast.token"])
        return self._secrets.is_cookie(headers.get("cookie", ""))


def _came_in_on(scope: Scope) -> set[str]:
    """The address that this connection came in on. No name elsewhere can be made to send it: it is no name."""
    host, port = scope.get("server") or ("", 0)
    host = str(host).lower().removeprefix("::ffff:").partition("%")[0]
    return {f"[{host}]:{port}" if ":" in host else f"{host}:{port}"} if host and port else set()


def _with_ours(given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    found = list(given)
    if not any(name == b"content-security-policy" for name, _ in found):
        found.append((b"content-security-policy", _NOTHING))
    return [*found, *_ALWAYS]
