"""The live view in a notebook cell: HTML in which names are text, and a real kernel that shows one output."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.cli_live.campaign import campaign

from outlast.cli.live.notebook import html_of, page
from outlast.cli.render.styled import Text


def test_a_line_keeps_its_styles_and_a_name_is_text() -> None:
    line = Text.assemble(("<b>x</b>", "bold"), " & ", ("dim", "dim"))
    assert html_of(line) == (
        '<span style="font-weight:bold">&lt;b&gt;x&lt;/b&gt;</span> &amp; <span style="opacity:.65">dim</span>'
    )


def test_the_page_says_what_the_terminal_does_without_its_keys() -> None:
    shown = page(replace(campaign(), name="<script>"))
    assert shown.plain.startswith("<script>  4 studies") and "slots: 3 of 4 busy" in shown.plain
    assert "q quit" not in shown.plain and "<script" not in shown.html


CELL = """\
from cli_live.campaign import campaign
from msgspec.structs import replace
import outlast.cli.live.notebook as n
looks = [campaign(), replace(campaign(), name="second"), campaign(sights=campaign().sights[2:])]
n.one_or_several = lambda *_: ("x", True)
n.ManyLooker = lambda _: type("L", (), {"look": lambda self: looks.pop(0)})()
import outlast
outlast.watch("x", every=0.01)
"""


@pytest.mark.slow
def test_a_cell_has_one_output_that_is_brought_up_to_date(tmp_path: Path) -> None:
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

    manager = KernelManager(transport="ipc", connection_file=str(tmp_path / "kernel.json"))
    command = [sys.executable, "-W", "ignore", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=command, language="python", display_name="this Python")
    manager.start_kernel(cwd=str(Path(__file__).parents[1]))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        kinds = _outputs(client, CELL)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    assert [kind for kind, _ in kinds] == ["display_data", "update_display_data", "update_display_data"], kinds
    assert "second  4 studies" in kinds[1][1]["text/plain"] and "<pre" in kinds[1][1]["text/html"]


def _outputs(client: Any, code: str) -> list[tuple[str, Any]]:
    asked, found, deadline = client.execute(code), [], time.monotonic() + 60
    while time.monotonic() < deadline:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != asked:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            return found
        if kind in ("display_data", "update_display_data", "error", "stream"):
            found.append((kind, content.get("data", content)))
    raise TimeoutError(found)


def test_the_picture_in_the_pages_is_the_beginning_of_the_capture() -> None:
    root = Path(__file__).parents[2]
    drawn = (
        (root / "docs" / "watching.md").read_text().partition("## Live")[2].split("```text\n")[1].partition("```")[0]
    )
    capture = (Path(__file__).parent / "captures" / "campaign.80x24.txt").read_text()
    assert capture.startswith(drawn)
