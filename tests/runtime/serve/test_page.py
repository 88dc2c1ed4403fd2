"""The page of `inn serve` in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import picture_bundle
import pytest
from serving import serving

for package in ("starlette", "uvicorn"):
    pytest.importorskip(package, reason="needs innlite[serve]")
playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs a browser: apt-get install chromium, or its path in CHROMIUM", allow_module_level=True)

expect = playwright.expect
ARGUMENTS = (
    "--no-sandbox",  # tests may run as root
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page")
    samples = folder / "samples"
    samples.mkdir()
    for seed in (1, 2):
        (samples / f"{seed}.png").write_bytes(picture_bundle.png(seed))
    bundle = picture_bundle.write(folder / "tiny.inn")
    with serving(bundle, "--samples", samples) as ((host, port), _):
        yield f"http://{host}:{port}"


@pytest.fixture(params=[{"width": 1200, "height": 900}, {"width": 360, "height": 740}], ids=["wide", "phone"])
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The loaded page; afterwards, that the browser had nothing to complain of."""
    context = browser.new_context(viewport=request.param, permissions=["camera"])
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text))
    opened.goto(address)
    expect(opened.locator("#verdict")).to_contain_text("full network")
    expect(opened.locator("#latency .dot")).to_have_count(2)
    yield opened
    context.close()
    assert [text for text in complaints if "422 (Unprocessable" not in text and "400 (Bad" not in text] == []


def expect_answer(page: Any, seed: int, size: float) -> None:
    shares = picture_bundle.shares(seed, size)
    best = max(shares, key=lambda label: shares[label])
    expect(page.locator("#chosen-title")).to_have_text(f"Size {size:g}")
    expect(page.locator("#chosen li").first).to_have_text(f"{best}{100 * shares[best]:.1f} %")


def test_the_slider_changes_the_size_and_the_answer(page: Any) -> None:
    expect_answer(page, 1, 0.5)
    page.locator("#slider").press("End")
    expect(page.locator("#size")).to_have_text("1")
    expect_answer(page, 1, 1.0)
    expect(page.locator("#verdict")).to_contain_text("the full network itself")
    page.get_by_role("button", name="small").click()
    expect_answer(page, 1, 0.5)
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", "size 0.5 small")


def test_samples_and_files_are_answered(page: Any, tmp_path: Path) -> None:
    page.get_by_role("button", name="Sample 2").click()
    expect_answer(page, 2, 0.5)
    (tmp_path / "mine.png").write_bytes(picture_bundle.png(7))
    page.locator("#file").set_input_files(tmp_path / "mine.png")
    expect_answer(page, 7, 0.5)
    expect(page.locator("#preview")).to_be_visible()


def test_a_file_that_is_no_picture_is_said_and_the_page_goes_on(page: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.locator("#file").set_input_files(tmp_path / "broken.png")
    expect(page.get_by_role("alert")).to_contain_text("not a picture that can be read")
    expect(page.locator("#pair")).to_be_hidden()
    page.get_by_role("button", name="Sample 1").click()
    expect_answer(page, 1, 0.5)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_what_is_wrong_with_a_picture_stays_when_measuring_ends(page: Any, tmp_path: Path) -> None:
    measure = page.get_by_role("button", name="Measure latency")
    expect(measure).to_be_enabled()
    page.route("**/api/latency*", lambda route: None)  # held until there is no route any more
    measure.click()
    expect(measure).to_be_disabled()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.locator("#file").set_input_files(tmp_path / "broken.png")
    expect(page.get_by_role("alert")).to_contain_text("not a picture that can be read")
    page.unroute("**/api/latency*")
    expect(measure).to_be_enabled()
    expect(page.get_by_role("alert")).to_contain_text("not a picture that can be read")


def test_the_best_size_for_a_time_is_found(page: Any) -> None:
    page.get_by_label("Best size within").fill("100000")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#found")).to_contain_text("Size 1: ")
    expect_answer(page, 1, 1.0)
    page.get_by_label("Best size within").fill("0.01")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#found")).to_contain_text("no size is done within 0.01 ms on this device")


def test_the_live_camera_is_answered_until_it_is_stopped(page: Any) -> None:
    camera = page.get_by_role("button", name="Live camera")
    camera.click()
    expect(page.locator("#video")).to_be_visible()
    with page.expect_response(lambda response: "/api/answer" in response.url) as found:
        pass
    assert found.value.status == 200
    camera.click()
    expect(page.locator("#video")).to_be_hidden()
    expect(camera).to_have_attribute("aria-pressed", "false")


def test_curves_are_drawn_and_tabled(page: Any) -> None:
    expect(page.locator("#quality .dot")).to_have_count(1)  # the tiny bundle has one measured size
    page.get_by_text("As a table").click()
    expect(page.locator("#table tbody tr")).to_have_count(2)
    expect(page.locator("#table tbody tr").first).to_contain_text("90.0 %")


def test_everything_has_a_name_and_nothing_overflows(page: Any) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, img, video, svg")]
        .filter(e => !(e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
            || e.textContent.trim() || e.hasAttribute("alt"))).map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_server_that_has_gone_is_said(browser: Any, tmp_path: Path) -> None:
    with serving(picture_bundle.write(tmp_path / "tiny.inn")) as ((host, port), process):
        page = browser.new_page()
        page.goto(f"http://{host}:{port}")
        expect(page.locator("#latency .dot")).to_have_count(2)
        expect(page.locator("#verdict")).to_contain_text("Choose a picture")
        process.kill()
        process.wait()
        page.get_by_role("button", name="Measure latency").click()
        expect(page.get_by_role("alert")).to_contain_text("Is inn serve still running?")
        page.close()
