"""The live page in a real Chromium: it goes on by itself without losing what somebody does with it, and says when it cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect

from lab.searched import HOSTILE
from lab.served import Server, served
from lab.waiting import until
from outlast.study import requests

pytestmark = pytest.mark.slow


@dataclass
class Seen:
    """A page, what it wrote on the console, and whom it asked."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)


@contextlib.contextmanager
def visited(browser: Browser, server: Server, *, width: int = 1280, dark: bool = False) -> Iterator[Seen]:
    context = browser.new_context(
        viewport={"width": width, "height": 850}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    try:
        found = Seen(context.new_page())
        found.page.set_default_timeout(60_000)
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("request", lambda request: found.asked.add(request.url.partition("?")[0]))
        found.page.goto(server.url)
        found.page.wait_for_selector(".figures")
        yield found
    finally:
        context.close()


def test_it_shows_all_studies_and_no_name_is_markup(browser, server, keys) -> None:
    with visited(browser, server) as it:
        assert it.page.url == f"http://127.0.0.1:{server.port}/", "the token is out of the address"
        assert it.page.locator("h1").text_content() == f"maximal{HOSTILE}"
        assert it.page.locator(".studies > section").count() == 5
        assert "4\nof 4 slots" in it.page.locator(".figures").inner_text()
        assert it.page.locator(".slots tbody tr").count() == 4
        assert "not begun" in it.page.locator(f"[data-key='{keys['late']}']").inner_text()
        it.page.goto(f"{server.url.partition('?')[0]}#study-{keys['criteria']}-trial-60")
        it.page.wait_for_selector("dialog[open] .log")
        expect(it.page.locator("dialog .log")).to_contain_text("<script>")
        assert it.page.evaluate("[window.hurt, document.querySelectorAll('img, iframe, object').length]") == [None, 0]
        assert it.said == []
        assert {url.split("/")[2] for url in it.asked} == {f"127.0.0.1:{server.port}"}


def test_at_the_width_of_a_phone_nothing_is_wider_than_it(browser, server, keys) -> None:
    with visited(browser, server, width=360, dark=True) as it:
        assert it.page.evaluate("document.documentElement.scrollWidth") == 360
        it.page.goto(f"{server.url.partition('?')[0]}#study-{keys['criteria']}")
        it.page.wait_for_selector("#trials tbody tr[data-trial]")
        assert it.page.evaluate("document.documentElement.scrollWidth") == 360
        assert it.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"


def test_what_is_new_comes_by_itself_and_what_somebody_does_stays(browser, server, campaign, keys) -> None:
    running = campaign["evidence"]
    with visited(browser, server) as it:
        it.page.goto(f"{server.url.partition('?')[0]}#study-{keys['evidence']}")
        it.page.wait_for_selector("#trials tbody tr[data-trial]")
        it.page.locator("#trials .trials").evaluate("(box) => { box.scrollTop = 640; window.kept = box; }")
        it.page.locator("input[type=search]").fill("state!=failed")
        it.page.locator("#trials .trials").evaluate("(box) => { box.scrollTop = 640; }")
        it.page.get_by_label("Over what").select_option("trials")
        it.page.locator("input[type=search]").focus()
        slots = it.page.locator(".slots tbody tr").count()
        canvas = it.page.locator(".slots canvas").first.element_handle()
        number = running.begin(3, steps=12)
        expect(it.page.locator(".slots tbody tr")).to_have_count(slots + 1, timeout=60_000)
        expect(it.page.locator("#trials [role=status]")).to_contain_text(f"of {running.next} trials", timeout=60_000)
        assert it.page.evaluate("document.querySelector('#trials .trials') === window.kept")
        assert it.page.locator("#trials .trials").evaluate("(box) => box.scrollTop") == 640
        assert it.page.locator("input[type=search]").input_value() == "state!=failed"
        assert it.page.evaluate("document.activeElement.type") == "search"
        assert it.page.get_by_label("Over what").input_value() == "trials"
        assert canvas.evaluate("(node) => node.isConnected"), "drawn on, not replaced: no flicker"
        it.page.get_by_role("link", name=f"trial {number}").click()
        expect(it.page.locator("dialog .log")).to_contain_text("epoch 11")
        with running.paths.attempt(number, 1).log.open("a") as log:
            log.write("epoch 12: later\n")
        expect(it.page.locator("dialog .log")).to_contain_text("epoch 12: later", timeout=60_000)
        it.page.keyboard.press("Escape")
        expect(it.page).to_have_url(f"{server.url.partition('?')[0]}#study-{keys['evidence']}")
        assert it.said == []


def test_all_of_it_can_be_reached_with_the_keyboard_and_is_named(browser, server, keys) -> None:
    with visited(browser, server) as it:
        it.page.keyboard.press("Tab")
        assert it.page.evaluate("document.activeElement.className") == "skip"
        first = it.page.locator(f"[data-key='{keys['criteria']}'] h2 a")
        first.focus()
        it.page.keyboard.press("Enter")
        it.page.wait_for_selector("#trials tbody tr[data-trial]")
        it.page.keyboard.press("/")
        assert it.page.evaluate("document.activeElement.getAttribute('aria-label')") == "Filter trials"
        unnamed = (
            "Array.from(document.querySelectorAll('canvas, button, input, select, [role=region], section'))"
            ".filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby'))).length"
        )
        assert it.page.evaluate(unnamed) == 0


def test_a_page_that_is_loaded_again_needs_no_token_and_its_policy_asks_nobody_else(browser, server) -> None:
    with visited(browser, server) as it:
        it.page.reload()
        it.page.wait_for_selector(".figures")
        tried = it.page.evaluate("fetch('https://example.invalid/').then(() => 'asked', () => 'stopped')")
        assert tried == "stopped"
        assert any("Content Security Policy" in text for text in it.said)


def test_a_page_whose_server_is_gone_says_so_and_comes_back(browser, root, campaign, tmp_path) -> None:
    assert campaign
    token = str(tmp_path / "token")
    with served(root, "--token-file", token) as first, visited(browser, first) as it:
        port = str(first.port)
        first.process.terminate()
        first.process.wait(60)
        expect(it.page.locator("#state")).to_contain_text("does not answer", timeout=60_000)
        assert it.page.locator(".studies > section").count() == 5, "what was known stays"
        with served(root, "--token-file", token, "--port", port):
            expect(it.page.locator("#state")).to_have_text("Live", timeout=60_000)


def test_a_page_of_an_earlier_start_says_what_to_open(browser, root, campaign) -> None:
    assert campaign
    with served(root) as first, visited(browser, first) as it:
        port = str(first.port)
        first.process.terminate()
        first.process.wait(60)
        with served(root, "--port", port):
            expect(it.page.locator("#state")).to_contain_text("Open the address", timeout=60_000)


def test_stopping_is_offered_only_where_it_was_allowed_and_asks_the_coordinator(browser, root, campaign, keys) -> None:
    running = campaign["criteria"]
    with served(root, "--allow-stop") as other, visited(browser, other) as it:
        stop = f"/api/studies/{keys['criteria']}/stop"
        own = {**other.own, "Origin": f"http://127.0.0.1:{other.port}", "Content-Type": "application/json"}
        for wrong in ({"Origin": "http://evil.example"}, {"X-Outlast-Page": ""}, {"Content-Type": "text/plain"}):
            assert other.ask(stop, {**own, **wrong}, method="POST", body="{}")[0].status in (400, 401, 403)
        without = {name: value for name, value in own.items() if name != "Origin"}
        assert other.ask(stop, without, method="POST", body="{}")[0].status == 403
        for body in ("[]", '{"trial": "1"}', '{"trial": -1}', '{"trial": true}', "x" * 5000, "["):
            assert other.ask(stop, own, method="POST", body=body)[0].status == 400
        answer, text = other.ask(stop, own, method="POST", body='{"trial": 0}')
        assert (answer.status, "does not run" in text) == (409, True)
        assert requests.pending(running.paths) == []
        it.page.on("dialog", lambda dialog: dialog.accept())
        it.page.goto(f"{other.url.partition('?')[0]}#study-{keys['criteria']}-trial-60")
        it.page.get_by_role("button", name="Stop this trial").click()
        asked = until(lambda: requests.pending(running.paths), "the coordinator is asked")
        assert [(each.kind, each.content["trial"]) for each in asked] == [("stop", 60)]
        requests.answer(running.paths, asked[0])
        expect(it.page.locator("dialog [role=status]")).to_contain_text("rial 60 is stopping")
        it.page.wait_for_timeout(2500)  # a look later it still says so
        expect(it.page.locator("dialog [role=status]")).to_contain_text("rial 60 is stopping")


def test_a_study_that_somebody_has_left_does_nothing_any_more(browser, server, keys) -> None:
    with visited(browser, server) as it:
        home = server.url.partition("?")[0]
        it.page.goto(f"{home}#study-{keys['criteria']}-trial-60")
        it.page.wait_for_selector("dialog[open] .log")
        it.page.keyboard.press("Escape")
        it.page.goto(f"{home}#")
        it.page.goto(f"{home}#study-{keys['evidence']}")
        it.page.wait_for_selector("#trials tbody tr[data-trial]")
        last = it.page.evaluate("view.trials.number[view.view.rows[view.view.rows.length - 1]]")
        it.page.goto(f"{home}#study-{keys['evidence']}-trial-{last}")
        it.page.wait_for_selector("dialog[open]")
        it.page.keyboard.press("ArrowRight")
        it.page.wait_for_timeout(200)
        assert f"Trial {last} " in it.page.locator("dialog h2").inner_text() + " "
        assert it.page.url.endswith(f"#study-{keys['evidence']}-trial-{last}")
        it.page.go_back()
        expect(it.page.locator("dialog[open]")).to_have_count(0)
        assert it.said == []


def test_a_chart_that_is_gone_is_gone(browser, server) -> None:
    with visited(browser, server) as it:
        it.page.evaluate(
            "window.held = [];"
            "for (let i = 0; i < 20; i++) {"
            "  const plot = new Plot({ label: 'x', draw() {} });"
            "  document.body.append(plot.host);"
            "  if (i % 2) plot.now();"
            "  held.push(new WeakRef(plot));"
            "  plot.host.remove();"
            "}"
        )
        left = "held.filter((each) => each.deref()).length"
        engine = it.page.context.new_cdp_session(it.page)
        for _ in range(20):
            it.page.wait_for_timeout(100)
            engine.send("HeapProfiler.collectGarbage")
            if it.page.evaluate(left) == 0:
                break
        assert it.page.evaluate(left) == 0
