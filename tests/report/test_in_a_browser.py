"""The page of a report in a real Chromium: drawn, sorted, filtered, opened, small, dark; it asks nobody for anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lab.browser import chromium, opened, why_not
from lab.report_data import data_of
from outlast.api.report_file import framed
from outlast.results.report_page import report_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with chromium() as found:
        yield found


@pytest.mark.parametrize("name", ["small", "hostile", "two", "none", "compared"])
def test_it_draws_itself_without_a_complaint_or_a_request_and_no_name_is_markup(name, browser, pages) -> None:
    with opened(browser, pages[name]) as it:
        it.page.evaluate("document.querySelectorAll('.plot').forEach(({ plot }) => plot.now())")
        if name == "hostile":
            assert "The test set was looked at twice." in it.text("#followups")
            it.page.locator("tbody tr[data-trial]").first.click()
            assert "<script>" in it.text("dialog"), "names are shown as they are"
        assert it.page.evaluate("[window.hurt, document.querySelectorAll('img, iframe, object, embed, link').length]") == [
            None, 0,
        ]  # fmt: skip
        assert it.count("script") == 2, "its own, and its data"
        assert (it.said, it.asked) == ([], [])


def test_scales_and_lines_bear_numbers_that_differ_by_next_to_nothing_and_none(browser, pages) -> None:
    with opened(browser, pages["small"]) as it:
        for low, high in ((0.9999999999999999, 1), (0.3, 0.30000000000000004), (1e300, 1e300), (0, 0), (0, 5e-324)):
            assert 0 < it.page.evaluate(f"scale('linear', {low!r}, {high!r}).ticks(6).length") < 20
        assert it.page.evaluate("steps(0.3, 0.30000000000000004, 6).length") <= 1000
        drawn = (
            "(() => { const said = []; const ctx = { beginPath() {}, stroke() {}, moveTo: (x, y) => said.push(['to', x, y]),"
            " lineTo: (x, y) => said.push(['line', x, y]) };"
            " trace(ctx, [[0, null], [1, 5], [2, 6], [3, null], [4, 7]], (v) => v, (v) => v); return said; })()"
        )
        assert it.page.evaluate(drawn) == [["to", 1, 5], ["line", 2, 6], ["to", 4, 7]]
        it.page.locator("#timeline details summary").click()
        cells = it.page.locator("#timeline details tbody tr").first.locator("td").all_inner_texts()
        assert cells[2], "the trials that it hit"
        kept = (
            "lanesOf({ data: { attempts: { row: [0, 1, 2], opened: [0, 1, 2], ended: [1, 2, 3] }, study: { now: 3 } },"
            " attempt: { slot: (i) => ['kept:0', 'kept:1', 'local:0'][i] } })"
        )
        assert it.page.evaluate(f"{kept}.names") == ["slot 0", "slot 1"]
        assert it.page.evaluate(f"{kept}.places.map(({{ lane }}) => lane)") == [0, 1, 0]
        assert it.said == []


def test_its_policy_stops_what_would_ask_somebody(browser, pages) -> None:
    with opened(browser, pages["small"]) as it:
        tried = it.page.evaluate("fetch('https://example.invalid/').then(() => 'asked', () => 'stopped')")
        it.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=https://example.invalid/x.png>')")
        it.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p onclick=\"window.hurt = 1\" id=bad>x</p>')")
        it.page.evaluate("document.getElementById('bad').click()")
        assert tried == "stopped"
        assert it.page.evaluate("window.hurt") is None
        assert sum("Content Security Policy" in text for text in it.said) >= 3


def test_trials_are_sorted_filtered_and_opened_with_mouse_and_keys(browser, pages) -> None:
    with opened(browser, pages["small"]) as it:
        numbers = "Array.from(document.querySelectorAll('tbody tr[data-trial]'), (row) => Number(row.dataset.trial))"
        best = it.page.evaluate(numbers)[0]
        assert f"Trial {best}:" in it.text("#best"), "the best comes first"
        it.page.get_by_role("button", name="trial", exact=True).click()
        assert it.page.evaluate(numbers)[:3] == [0, 1, 2]
        it.page.get_by_role("button", name="trial ↑").click()
        assert it.page.evaluate(numbers)[:2] == [239, 238]
        it.page.keyboard.press("Escape")
        it.page.keyboard.press("/")
        it.page.keyboard.type("state=pruned layers>=3 optimizer=sgd")
        states = it.page.locator("tbody tr[data-trial] td:nth-child(2)")
        assert set(states.all_inner_texts()) == {"pruned"}
        assert " of 240 trials" in it.text("#trials [role=status]")
        it.page.get_by_label("Filter trials").fill("nonsense<3")
        assert it.text("#trials [role=status]") == "no column is called nonsense"
        it.page.get_by_label("Filter trials").fill("")
        it.page.locator(".trials").focus()
        for key in ("Home", "ArrowDown", "ArrowDown", "Enter"):
            it.page.keyboard.press(key)
        assert it.text("#detail-title").startswith("Trial 237")
        for part in ("Parameters", "Attempts", "Train it again", "python train.py --seed 237", "epoch 1:"):
            assert part in it.text("dialog"), part
        it.page.keyboard.press("ArrowRight")
        assert it.text("#detail-title").startswith("Trial 236")
        assert it.page.evaluate("location.hash") == "#trial-236"
        it.page.keyboard.press("Escape")
        assert not it.page.locator("dialog").is_visible()
        assert it.said == []


@pytest.mark.parametrize("name", ["small", "hostile", "two", "compared"])
def test_on_a_phone_nothing_runs_out_of_the_page(name, browser, pages) -> None:
    with opened(browser, pages[name], width=360, height=740) as it:
        assert it.page.evaluate("document.documentElement.scrollWidth") == 360
        if name != "compared":
            it.page.locator("tbody tr[data-trial]").first.click()
            wide = it.page.evaluate(
                "(() => { const d = document.querySelector('dialog'); return [d.scrollWidth, d.clientWidth]; })()"
            )
            assert wide[0] == wide[1]
        assert it.said == []


def test_it_is_dark_where_the_person_is_and_by_a_switch(browser, pages) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, pages["small"], dark=True) as it:
        assert it.page.evaluate(paper) == "rgb(20, 23, 26)"
        it.page.get_by_role("button", name="Switch to light colours").click()
        assert it.page.evaluate(paper) == "rgb(250, 250, 248)"
        assert it.said == []


def test_printed_it_holds_the_charts_and_a_table_without_controls(browser, pages) -> None:
    with opened(browser, pages["small"]) as it:
        it.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert it.count("tbody tr[data-trial]") == 60
        assert it.page.evaluate("Array.from(document.querySelectorAll('.plot')).every(({ plot }) => plot.shown)")
        it.page.emulate_media(media="print")
        assert not it.page.locator("nav").is_visible()
        assert not it.page.get_by_label("Filter trials").is_visible()


def test_ten_thousand_trials_open_as_few_elements_and_few_megabytes(browser, tmp_path: Path, capsys) -> None:
    file = tmp_path / "long.html"
    file.write_text(report_page(data_of(10_000), title="long"))
    size = file.stat().st_size / 1e6
    began = time.perf_counter()
    with opened(browser, file) as it:
        took = {"open": time.perf_counter() - began}
        first = it.count("*")
        for name, script in {
            "filter": "const f = document.querySelector('input'); f.value = 'lr<0.001'; f.dispatchEvent(new Event('input'))",
            "sort": "document.querySelectorAll('.trials th button')[3].click()",
            "scroll": "document.querySelector('.trials').scrollTop = 1e5",
        }.items():
            took[name] = it.page.evaluate(
                f"(() => {{ const t = performance.now(); {script}; return (performance.now() - t) / 1000; }})()"
            )
        it.page.wait_for_timeout(50)
        assert it.count("tbody tr[data-trial]") <= 40
        assert it.count("*") <= first + 50 < 2500
        assert it.said == []
    with capsys.disabled():
        print(
            f"\n10,000 trials: {size:.1f} MB; seconds: "
            + ", ".join(f"{key} {value:.2f}" for key, value in took.items())
        )
    assert size < 15


def test_it_works_inside_a_notebook_which_it_cannot_reach(browser, pages, tmp_path) -> None:
    page = tmp_path / "cell.html"
    framing = "<!doctype html><script>window.outlastReady = 1</script>" + framed(pages["small"].read_text(), height=700)
    page.write_text(framing)
    with opened(browser, page) as it:
        inner = it.page.frames[1]
        inner.wait_for_function("window.outlastReady")
        inner.locator("nav a").nth(2).click()
        assert inner.evaluate("scrollY") > 300
        inner.locator("tbody tr[data-trial]").first.click()
        assert inner.locator("#detail").is_visible()
        inner.locator("button.close").click()
        assert not inner.locator("#detail").is_visible() and inner.evaluate("window.origin") == "null"
        assert (it.said, it.asked) == ([], [])
