"""Addresses are secrets: what is on record of one, and what of one an export leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.config.load import load_study_file
from outlast.config.revisions import compare
from outlast.config.secrets import mask_address
from outlast.engine.followup.exported_secrets import secret_values, take_out

FILE = """\
command: echo ${args}
metric: {name: acc, goal: maximize}
parameters: {lr: [1, 2]}
budget: {trials: 2}
notify: [tgram://12345:AAHsecret/99, "${NTFY_URL}"]
"""


@pytest.mark.parametrize(
    ("url", "on_record"),
    [
        ("ntfy://topic", "ntfy://***"),
        ("mailto://me:hunter2@example.org", "mailto://***"),
        ("tgram://123:AAH/${CHAT}", "tgram://***"),
        ("tgram://${BOT}/${CHAT}", "tgram://${BOT}/${CHAT}"),
        ("${NTFY_URL}", "${NTFY_URL}"),
        ("${envvar:NTFY_URL}", "${envvar:NTFY_URL}"),
        ("hunter2", "***"),
        ("ntfy://***", "ntfy://***"),
    ],
)
def test_what_is_on_record_of_an_address(url: str, on_record: str) -> None:
    assert mask_address(url) == on_record
    assert mask_address(on_record) == on_record


def test_a_changed_address_is_no_new_search_and_its_difference_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(FILE)
    before = load_study_file(str(tmp_path / "s.yaml")).resolved
    (tmp_path / "s.yaml").write_text(FILE.replace("tgram://12345:AAHsecret/99", "ntfy://other-secret"))
    found = compare(before, load_study_file(str(tmp_path / "s.yaml")).resolved)
    assert found.needs_acceptance == ()
    assert "secret" not in repr((before, found))


def test_an_export_has_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTFY_URL", "ntfy://hidden-topic")
    (tmp_path / "s.yaml").write_text(FILE)
    copy = tmp_path / "export.yaml"
    monkeypatch.setenv("TRACKER_WORD", "another-hidden-word")
    sent = 'tracking: {mlflow: {uri: "http://me:${TRACKER_WORD}@here"}, sinks: [{name: a.B, uri: "http://me:hunter234@there"}]}'
    (tmp_path / "s.yaml").write_text(f"{FILE}\n{sent}\n")
    copy.write_text(f"{FILE}\n{sent}\n# we told ntfy://hidden-topic and http://me:another-hidden-word@here\n")
    take_out([copy], secret_values([load_study_file(str(tmp_path / "s.yaml"))], [tmp_path]))
    assert "AAHsecret" not in copy.read_text()
    assert "hidden" not in copy.read_text() and "hunter234" not in copy.read_text()
