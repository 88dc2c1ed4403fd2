"""The pictures of docs/guide/serve.md: the page of `inn serve` in headless Chromium, on three screens.

python -m benchmarks.reports.serve_screenshots out/fashion-resnet20.inn
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from benchmarks.networks import fashion_mnist

DOCS = Path(__file__).parents[2] / "docs" / "guide"
SCREENS = {
    "desktop": ("small", 1100, 800, "light"),
    "tablet": ("full", 820, 1000, "dark"),
    "phone": ("tiny", 390, 800, "light"),
}
SAMPLE = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bundle", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        fashion_mnist.write_samples(Path(folder))
        command = [sys.executable, "-m", "inn_runtime.cli", "serve", str(arguments.bundle), "--port", "0"]
        server = subprocess.Popen([*command, "--samples", folder], stdout=subprocess.PIPE, text=True)
        try:
            address = re.search(r"http://\S+", server.stdout.readline())[0]
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for screen, (size, width, height, scheme) in SCREENS.items():
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto(address)
                expect(page.locator("#measure")).to_be_enabled(timeout=60_000)
                page.get_by_role("button", name=size, exact=True).click()
                page.get_by_role("button", name=f"Sample {SAMPLE}", exact=True).click()
                expect(page.locator("#chosen-title")).to_have_text(re.compile("Size"))
                page.wait_for_timeout(1000)  # the last answer
                page.screenshot(path=DOCS / f"serve-{screen}.png", full_page=True)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
