"""The GPU benchmark: one part's failure or endless run stops no other, and what is measured is kept."""

import json
import time
from pathlib import Path

import pytest
import torch

from bench.gpu.__main__ import MINUTES, parts_of
from bench.gpu.kernels import summary_of
from bench.gpu.report import Report
from bench.gpu.running import Part, run_all
from bench.gpu.search import DEFAULT_WORKERS, LARGEST, best_count


def test_a_part_that_fails_or_hangs_stops_no_other(tmp_path: Path) -> None:
    endless = (
        "import os, subprocess, sys, time; print('started', flush=True); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    parts = [
        Part("fails", ("-c", "raise SystemExit(3)"), 100.0),
        Part("hangs", ("-c", endless), 2.0),
        Part("works", ("-c", "print('done')"), 100.0),
    ]
    began = time.monotonic()
    done = run_all(parts, 202.0, tmp_path)
    assert [one.code for one in done] == [3, None, 0]
    assert time.monotonic() - began < 60
    assert json.loads((tmp_path / "parts.json").read_text())[1]["code"] is None
    assert (tmp_path / "works.log").read_text() == "done\n"
    started, child = (tmp_path / "hangs.log").read_text().split()
    assert started == "started"
    for _ in range(100):
        if not is_alive(int(child)):
            break
        time.sleep(0.1)
    assert not is_alive(int(child))


def is_alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_parts_of_a_run_fit_into_its_minutes(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "cuda:0", "images", rehearse=False)
    assert [one.name for one in parts] == ["tests", "trainer", "workers", "search", "speednet"]
    assert sum(one.seconds for one in parts) <= 60 * MINUTES <= 8 * 60


def test_a_report_is_whole_after_every_figure(tmp_path: Path) -> None:
    report = Report(tmp_path / "it.json", torch.device("cpu"))
    for number in range(3):
        report.add(f"figure {number}", {"value": number})
        document = json.loads((tmp_path / "it.json").read_text())
        assert document[f"figure {number}"] == {"value": number}
    assert document["device"] == "cpu"
    assert len(document) == 5


@pytest.mark.parametrize(
    ("rates", "count"),
    [
        ({"1": 100.0, "2": 180.0, "4": 185.0, "8": 150.0}, 2),
        ({"1": 100.0, "16 with MPS": 900.0}, 1),
        ({"1": 100.0, "2": 200.0, "4": 400.0}, 4),
    ],
)
def test_the_search_gets_the_fewest_workers_of_about_the_highest_rate(
    tmp_path: Path, rates: dict[str, float], count: int
) -> None:
    file = tmp_path / "workers.json"
    figures = {name: {LARGEST: rate} for name, rate in rates.items()}
    file.write_text(json.dumps({"images_per_second": figures}))
    assert best_count(file) == count


def test_without_figures_of_workers_the_search_has_a_default(tmp_path: Path) -> None:
    assert best_count(tmp_path / "none.json") == DEFAULT_WORKERS
    (tmp_path / "half.json").write_text('{"images_per')
    assert best_count(tmp_path / "half.json") == DEFAULT_WORKERS


def test_kernels_that_overlap_are_busy_once() -> None:
    assert summary_of([(0, 10), (2, 4), (20, 30)], steps=2) == {
        "per_step": 1.5,
        "busy": 0.667,
        "microseconds": 7.33,
        "gap": 5.0,
    }
    assert summary_of([], steps=2) == {"per_step": 0.0}
