"""docs/images: the HTML reports of examples/reports as Chromium shows them, wide and on a phone.

Needs Playwright and a Chromium (`apt install chromium`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "examples" / "reports"
SHOTS = {
    "class": ("class/html.html", 1280, 900, "light"),
    "class-dark": ("class/html.html", 1280, 900, "dark"),
    "class-phone": ("class/html.html", 380, 800, "light"),
    "student": ("student/html.html", 900, 1400, "light"),
    "student-phone": ("student/html.html", 380, 1200, "light"),
}


def main() -> None:
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        for name, (file, width, height, scheme) in SHOTS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page.goto((REPORTS / file).as_uri())
            if name.startswith("student"):
                page.evaluate("document.querySelector('.chart').scrollIntoView({block: 'center'})")
            page.screenshot(path=str(images / f"{name}.png"))
        browser.close()


if __name__ == "__main__":
    main()
