"""Write docs/report.html, the example of a report, and docs/report.png, a picture of it.

    make demo && python -m bench.example_report --home runs/demo --study demo

The example leaves out the sheet of training images, because CIFAR-10's images are not this project's to
pass on; the page says so in its place. The picture is taken by Chromium, which must be /usr/bin/chromium.
"""

import argparse
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from search.commands.options import images_folder
from search.home import Home
from search.report.file import write_report
from search.report.gathering import gather
from search.report.record import Missing
from search.results.reader import StudyReader

DOCS = Path(__file__).parents[1] / "docs"
LEFT_OUT = (
    "This example leaves the images out, because CIFAR-10's are not this project's to pass on. The report "
    "of a search has a sheet here: an image of each class, and what the winner's augmentation makes of it."
)
WIDTH, HEIGHT = 800, 900
"""Half of the picture in pixels: the beginning on the left, and from `SECOND` on on the right."""
SECOND = "history"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--study")
    options = parser.parse_args()
    home = Home(options.home)
    study, summary = StudyReader(home, None, options.study).open()
    record = gather(
        study,
        summary,
        home,
        where="",
        data=None,
        folder=images_folder(),
        made=datetime.now().astimezone(),
    )
    page = DOCS / "report.html"
    write_report(replace(record, sheet=Missing(LEFT_OUT)), page)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        view = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        view.goto(page.as_uri())
        parts = [view.screenshot()]
        view.locator(f"#{SECOND}").evaluate("one => one.scrollIntoView()")
        parts.append(view.screenshot())
        browser.close()
    both = Image.new("RGB", (2 * WIDTH, HEIGHT))
    for index, part in enumerate(parts):
        both.paste(Image.open(BytesIO(part)), (index * WIDTH, 0))
    both.save(DOCS / "report.png", optimize=True)


if __name__ == "__main__":
    main()
