"""Run a campaign of faults: `python -m tests.chaos --kills 200 --seed 1 --json chaos.json`."""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from search.signals import ending_like_ctrl_c
from tests.chaos.campaign import Campaign, described


@click.command()
@click.option(
    "--kills", default=200, show_default=True, type=click.IntRange(1), help="Number of faults."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Random seed.")
@click.option(
    "--first",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Number of the first search.",
)
@click.option("--workers", type=click.IntRange(1, 2), help="Of every search.  [default: drawn]")
@click.option(
    "--cores", type=click.IntRange(1), help="Searches side by side.  [default: all cores]"
)
@click.option("--storage", metavar="URL", help="A database for all studies.  [default: SQLite]")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="File to write the counts to."
)
def main(
    kills: int,
    seed: int,
    first: int,
    workers: int | None,
    cores: int | None,
    storage: str | None,
    file: Path | None,
) -> None:
    """Inject faults into small searches at random, and check that nothing is lost."""
    folder = Path(tempfile.mkdtemp(prefix="cifar-search-chaos-"))
    campaign = Campaign(folder, seed, kills, first, workers, storage)
    began = time.monotonic()
    interrupted = False
    try:
        with ending_like_ctrl_c():
            campaign.run(range(cores or len(os.sched_getaffinity(0))))
    except KeyboardInterrupt:
        interrupted = True  # what was seen so far still counts
    summary = campaign.summary(time.monotonic() - began)
    if file is not None:
        file.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    click.echo(described(summary))
    for violation in campaign.violations:
        click.echo(f"\n{violation.text}\n  {violation.repeat}\n  {violation.story}")
    if not campaign.violations:
        shutil.rmtree(folder)
    sys.exit(1 if campaign.violations else 130 if interrupted else 0)


if __name__ == "__main__":
    main()
