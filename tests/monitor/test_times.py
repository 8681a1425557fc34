from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from outlast.core.moments import parse_time
from outlast.monitor.times import duration, figure, is_percentage, local_time, metric_value, time_span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (3.21, "3.2s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (725, "12m 05s"),
        (3599.9, "1h 00m"),
        (7500, "2h 05m"),
        (86_399, "1d 00h"),
        (273_600, "3d 04h"),
        (-5, "0.0s"),
        (float("inf"), "?"),
    ],
)
def test_durations_read_like_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.97123, "0.9712"),
        (1e-05, "1e-05"),
        (128, "128"),
        (0.1, "0.1"),
        (2.0, "2.0"),
        (float("nan"), "nan"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("name", "value", "percent"),
    [
        ("Validation Macro Top-1 Accuracy", 87.45, True),
        ("val_acc", 91.2, True),
        ("valAcc", 91.2, True),
        ("top5", 99.0, True),
        ("error_pct", 0.5, True),
        ("error %", 3.0, True),
        ("val_accuracy", 0.91, False),
        ("loss", 3.0, False),
        ("accident_count", 50.0, False),
        ("accuracy", 250.0, False),
        ("space", 20.0, False),
    ],
)
def test_percentages_are_known_by_name_and_size(name: str, value: float, percent: bool) -> None:
    assert is_percentage(name, value) is percent


def test_percentages_have_two_decimals_and_other_metrics_four_digits() -> None:
    assert metric_value("accuracy", 87.45) == "87.45%"
    assert metric_value("loss", 12.3) == "12.30"
    assert metric_value("accuracy", 0.984) == "0.9840"
    assert metric_value("accuracy", 0.8745, both=True) == "0.8745 (87.45%)"
    assert metric_value("loss", 0.8745, both=True) == "0.8745"
    assert metric_value("score", float("-inf")) == "-inf"


def test_times_are_read_as_utc() -> None:
    noon = datetime(2026, 1, 5, 12, 0, tzinfo=timezone.utc)
    for text in (
        "2026-01-05T12:00:00.000+00:00",
        "2026-01-05T12:00:00Z",
        "2026-01-05 12:00:00",
        "2026-01-05T14:00:00+02:00",
    ):
        moment = parse_time(text)
        assert moment == noon and moment.utcoffset() == timedelta(0)
    assert parse_time("") is None and parse_time(None) is None and parse_time("yesterday") is None


@pytest.mark.parametrize(
    ("zone", "seconds", "span"),
    [
        ("UTC", 7200, "2026-01-31 22:32 to 2026-02-01 00:32"),
        ("UTC", 20, "2026-01-31 22:32:05 to 22:32:25"),
        ("UTC", 300, "2026-01-31 22:32 to 22:37"),
        ("Asia/Tokyo", 7200, "2026-02-01 07:32 to 09:32"),
        ("America/New_York", None, "since 2026-01-31 17:32"),
    ],
)
def test_times_are_told_by_the_readers_own_clock(
    zone: str, seconds: float | None, span: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime(2026, 1, 31, 22, 32, 5, tzinfo=timezone.utc)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert time_span(began, None if seconds is None else began + timedelta(seconds=seconds)) == span
        assert local_time(began)[:16] in span.replace("since ", "").replace(":05", "")[:16]
    finally:
        monkeypatch.undo()
        time.tzset()
