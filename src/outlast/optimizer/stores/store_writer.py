"""Writes a study behind into a store that is not its folder's: a shared database, a server, a journal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

from outlast.config.settings import Settings
from outlast.config.store_address import StoreAddress
from outlast.errors import LeaseLost, OutlastError
from outlast.optimizer.index.index_rows import ForeignRow
from outlast.optimizer.index.known_tables import IndexBroken
from outlast.optimizer.index.written_behind import PATIENCE, WrittenBehind
from outlast.optimizer.stores.store_connection import first_line
from outlast.optimizer.stores.store_contract import NotYet, Superseded, Whose, Writing
from outlast.optimizer.stores.store_sessions import StoreSession, chunks, open_session

#: Trials in one transaction: what a server is asked to hold back from others at most.
_AT_ONCE = 500
#: PostgreSQL's words for: a lock is not to be had, a deadlock, others wrote the same, all connections are taken.
_PASSING = frozenset({"55P03", "40P01", "40001", "53300"})
#: So many times somebody else writes the same study there, and the lease is still ours: it is a copy of the study.
_RIVALRIES = 3


class StoreWriter(WrittenBehind):
    """Keeps a study in a store in step with the ledger. See `WrittenBehind` for how it is used.

    A server that is restarted, a connection that is cut, rows that somebody deleted: it opens the store again, reads what is
    there, and writes what is not. What was written once is never written a second time as another row.

    Args:
        address: The store.
        settings: The study file.
        identity: Tells the study from others of its name.
        earlier: Identities of this folder's studies before ``--fresh``, each with the name under which it is kept.
    """

    def __init__(
        self,
        address: StoreAddress,
        settings: Settings,
        identity: str,
        *,
        earlier: Mapping[str, str] | None = None,
        interval: float = 0.5,
        poll: float = 2.0,
        fence: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(str(address), settings, interval=interval, poll=poll, fence=fence)
        self._address, self._whose = address, Whose(identity, earlier or {})
        self._session: StoreSession | None = None
        self._met = False  # it could be opened once
        self._lagging = False  # and people know it
        self._rivals = 0
        self._got_on = time.monotonic()
        self._look_at = 0.0

    @property
    def _gets_on(self) -> bool:
        return self._met and not self._failures and time.monotonic() - self._got_on < 5.0

    def close(self, timeout: float = 5.0) -> bool:
        """See `WrittenBehind.close`. A store that fails just now gets one more try: nobody's turn lasts longer for it."""
        return super().close(min(timeout, 1.0) if self._failures else timeout)

    def attempt(self) -> None:
        """One round. Whatever a driver raises, the store is opened again next time."""
        try:
            self._round()
        except LeaseLost:
            self._retired = True
            self.disconnect()
        except Superseded:
            self.disconnect()
            self._rivals += 1
            if self._rivals >= _RIVALRIES:
                self._retired = True
                text = f"{self.label}: another copy of this study writes itself there; this one does no more"
                self._tell("rival", text)
        except Exception as error:
            self.disconnect()
            self._failures += 1
            self._tell_trouble(error)
        else:
            if self._lagging:
                self._lagging = False
                self._tell("again", f"{self.label} can be written again: it is up to date")
            self._failures = 0

    def _round(self) -> None:
        session = self._session or self._opened()
        changes, refused, objectives = self._wanted()
        noted = self._to_note()
        writes = bool(changes or refused or noted or objectives != session.objectives)
        if writes:
            with contextlib.suppress(NotYet):
                for part in chunks(changes.values(), _AT_ONCE) or [[]]:
                    session.write(
                        Writing(part, refused, objectives, noted, self._at_once or self._closing), self._fence
                    )
                    self._has_noted(noted)
                    self._tell_left_out(session.left_out)
                    self._done({row.number: row for row in part}, refused, [])
                    self._got_on = time.monotonic()
        if (now := time.monotonic()) >= self._look_at or self._at_once:
            self._look_at = now + self._poll
            self._done({}, {}, self._looked(session))

    def _looked(self, session: StoreSession) -> list[ForeignRow]:
        try:
            return session.look()
        except IndexBroken as error:
            self._tell("missing", f"{self.label}: {error}; they are written again")
            raise

    def _opened(self) -> StoreSession:
        with self._wake:
            expected = dict(self._rows)
        session = open_session(self._address, self._settings, self._whose, expected, self._fence)
        if session.missing:
            self._tell("missing", f"{self.label}: {session.missing} rows were missing; they are written again")
        self._read_back(dict(session.written), session.objectives)
        self._session, self._met, self._look_at = session, True, 0.0
        self._got_on = time.monotonic()
        return session

    def _tell_left_out(self, names: set[str]) -> None:
        if names:
            first = min(names)
            shown = repr(first if len(first) <= 40 else f"{first[:39]}…")
            self._tell("names", f"{self.label} has no room for an attribute called {shown}: it is left out there")

    def _tell_trouble(self, error: Exception) -> None:
        if isinstance(error, OutlastError):  # it says itself what a person can do
            cure = f" ({error.cure})" if error.cure else ""
            self._told.add("behind")  # it is, and why was said
            self._tell(error.fact, f"{self._address.without_secrets(error.fact)}{cure}")
        elif self._failures == PATIENCE or not (self._met or self._failures > 1 or _passes(error)):
            why = self._address.without_secrets(first_line(error))
            text = f"{self.label} cannot be written ({why}): it is behind for now; every result is safe in the ledger"
            self._tell("away", text)
            self._lagging = True

    def disconnect(self) -> None:
        """Let go of the store."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except Exception:  # of a connection that is broken already
                return


def _passes(error: Exception) -> bool:
    """Whether others were only in the way for a moment: held a lock, made the same row, or had all connections."""
    names = {each.__name__ for each in type(error).__mro__}
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    held = "locked" in str(error) if "sqlite3" in type(error).__module__ else error.args[:1] in ((1205,), (1213,))
    return "IntegrityError" in names or state in _PASSING or held or "too many" in str(error)
