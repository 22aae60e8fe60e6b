"""The GPU benchmark: one part's failure or endless run stops no other, and what is measured is kept."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.gpu import final
from bench.gpu import trainer as gpu_trainer
from bench.gpu.__main__ import MINUTES, gpu_tests, parts_of
from bench.gpu.kernels import summary_of
from bench.gpu.report import Deadline, Report
from bench.gpu.running import Part, run_all
from bench.gpu.search import DEFAULT_WORKERS, LARGEST, best_count
from bench.gpu.watching import gpu_watched
from bench.gpu.workers import multi_process_service
from cifar_core.data.resident import Splits
from cifar_core.networks import Net
from cifar_core.recipe import Recipe

CPU = torch.device("cpu")


def test_a_part_that_fails_or_hangs_stops_no_other(tmp_path: Path) -> None:
    endless = (
        "import os, subprocess, sys, time; print('started', flush=True); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    parts = [
        Part("fails", ("-c", "raise SystemExit(3)"), 100.0),
        Part("hangs", ("-c", endless), 2.0),
        Part("works", ("-c", "import sys; print('done', *sys.argv[1:])"), 100.0, told=False),
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


def test_a_part_is_told_its_limit_and_what_others_leave_is_shared_out(tmp_path: Path) -> None:
    says = ("-c", "import sys; print(*sys.argv[1:])")
    done = run_all([Part("first", says, 10.0), Part("last", says, 30.0)], 40.0, tmp_path)
    for one in done:
        assert (tmp_path / f"{one.name}.log").read_text() == f"--seconds {one.limit}\n"
    assert done[0].limit == pytest.approx(10.0, abs=0.1)
    assert done[1].limit == pytest.approx(40.0 - done[0].seconds, abs=0.5)


def is_alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_parts_of_a_run_fit_into_its_minutes(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "cuda:0", "images", rehearse=False)
    names = ["tests", "trainer", "workers", "search", "final", "speednet"]
    assert [one.name for one in parts] == names
    assert sum(one.seconds for one in parts) <= 60 * MINUTES < 8 * 60
    assert {one.name: one.seconds for one in parts}["search"] == 240.0


def test_no_test_that_needs_a_gpu_is_in_another_file() -> None:
    collect = (sys.executable, "-m", "pytest", "-m", "gpu", "--collect-only", "-q")
    found = []
    for files in (["tests"], gpu_tests()):
        ended = subprocess.run([*collect, *files], capture_output=True, text=True, check=True)
        found.append([line for line in ended.stdout.splitlines() if "::" in line])
    assert found[0] == found[1]
    assert len(found[0]) > 50


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
        ({"16 with MPS": 900.0}, DEFAULT_WORKERS),
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


def test_the_winner_is_what_the_service_exports_also_with_its_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = tmp_path / "best-1.toml"
    best.write_text("[recipe]\nepochs = 7\n")
    monkeypatch.setattr(final, "command", lambda *_: (0, f"{best}\n{tmp_path / 'best-1.pt'}\n"))
    assert final.winner_of(tmp_path) == Recipe(epochs=7)
    monkeypatch.setattr(final, "command", lambda *_: (2, ""))
    with pytest.raises(SystemExit, match="no winner to train"):
        final.winner_of(tmp_path)


def test_the_fast_networks_run_is_its_spaces_first_known_configuration() -> None:
    recipe = final.fastest()
    assert (recipe.network.name, recipe.epochs) == ("speednet", 12)


def test_kernels_that_overlap_are_busy_once() -> None:
    assert summary_of([(0, 10), (2, 4), (20, 30)], steps=2) == {
        "per_step": 1.5,
        "busy": 0.667,
        "microseconds": 7.33,
        "gap": 5.0,
    }
    assert summary_of([], steps=2) == {"per_step": 0.0}


def test_a_mode_that_fails_is_reported_and_the_others_are_measured(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {"limit": [1.0, 100.0, 200.0, 100.0], "ours": [1.0, 90.0, 200.0, 80.0]}

    class Fake:
        def __init__(self, mode: str) -> None:
            self.rates = iter(rates[mode])

        def turn(self) -> float:
            return next(self.rates)

        def close(self) -> None:
            """Nothing runs beside it."""

    def made(mode: str, *_: object) -> Fake:
        if mode == "airbench":
            raise RuntimeError("no airbench")
        return Fake(mode)

    monkeypatch.setattr(gpu_trainer, "contender_of", made)
    recipe = Recipe(network=Net(channels1=2, channels2=2), batch_size=50)
    found = gpu_trainer.measure(("limit", "airbench", "ours"), recipe, small_splits, CPU, turns=3)
    assert found["airbench"] == {"error": "RuntimeError: no airbench"}
    assert found["limit"] == {"images_per_second": [100.0, 200.0, 100.0], "median": 100.0}
    assert found["ours"]["of_first"] == 0.9


def test_our_training_is_measured_in_every_mode_also_where_it_falls_back(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **_options: object) -> Any:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: missing)
    recipe = Recipe(network=Net(channels1=2, channels2=2), batch_size=50)
    modes = ("ours", gpu_trainer.CAPTURED, gpu_trainer.COMPILED)
    found = gpu_trainer.measure(modes, recipe, small_splits, CPU, turns=1)
    assert all(len(found[mode]["images_per_second"]) == 1 for mode in modes)
    assert "fell_back" not in found["ours"]
    assert found[modes[1]]["fell_back"] == "CUDA graphs need a CUDA device, not cpu"
    assert found[modes[2]]["fell_back"] == "RuntimeError: no compiler"


def test_what_takes_longer_than_a_part_has_fails_in_time_for_the_rest() -> None:
    deadline = Deadline(0.4)
    deadline.interrupt(before=0.2)
    with pytest.raises(TimeoutError, match="no more time"):
        time.sleep(30)
    assert deadline.left < 0.4


def script(folder: Path, name: str, text: str) -> None:
    """A program in a folder of programs."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_the_multi_process_service_is_there_while_it_is_used_and_then_told_to_quit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with multi_process_service() as missing:
        assert missing == "there is no nvidia-cuda-mps-control here"
    noted = tmp_path / "noted"
    script(tmp_path, "nvidia-cuda-mps-control", f'echo "$1 $(test -t 0 || cat)" >> {noted}')
    with multi_process_service() as missing:
        assert missing is None
        assert os.environ["CUDA_MPS_PIPE_DIRECTORY"]
    assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ
    assert noted.read_text().split() == ["-d", "quit"]
    script(tmp_path, "nvidia-cuda-mps-control", "echo not permitted >&2; exit 1")
    with multi_process_service() as missing:
        assert missing == "not permitted"
        assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


def test_a_gpus_own_figures_are_written_as_long_as_something_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with gpu_watched(tmp_path / "none.csv"):
        assert not (tmp_path / "none.csv").exists()
    script(tmp_path, "nvidia-smi", "echo utilization; exec sleep 60")
    began = time.monotonic()
    with gpu_watched(tmp_path / "gpu.csv"):
        while not (tmp_path / "gpu.csv").read_text():
            assert time.monotonic() < began + 30
    assert (tmp_path / "gpu.csv").read_text() == "utilization\n"
    assert time.monotonic() < began + 30
