"""Whether people can be told: what is lacking, and a message to try it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from outlast.config.settings import NotifySettings
from outlast.core.finding import Finding
from outlast.engine.telling import message
from outlast.engine.telling.addresses import NotDeliveredError, addresses_of


def notify_findings(
    notify: NotifySettings, name: str, cwd: str, env: Mapping[str, str], *, send: bool = False
) -> Iterator[Finding]:
    """What cannot be used of a `notify` section; with `send`, what became of a test message to everybody else.

    Who cannot be told is a finding, and an error only where it was to be tried.

    Args:
        notify: The section.
        name: The study's or the campaign's.
        cwd: Where the command runs.
        env: What its file sets in the environment.
        send: Try it.
    """
    usable, lacking = addresses_of(notify, {**os.environ, **env}, os.path.abspath(cwd))
    for what, why in lacking:
        yield Finding("notify", "error" if send else "note", f"{what} {why}")
    for address in usable if send else ():
        try:
            address.send(message.test(name))
        except NotDeliveredError as error:
            yield Finding("notify", "error", f"{address.name} did not take the test message: {error}")
        else:
            yield Finding("notify", "ok", f"{address.name} took the test message")
    if usable and not send:
        many = "address" if len(usable) == 1 else "addresses"
        what = f"{len(usable)} {many} for {', '.join(notify.what)}; outlast check --notify sends a test message"
        yield Finding("notify", "ok", what)
