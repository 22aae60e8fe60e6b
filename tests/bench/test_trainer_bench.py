"""The trainer's benchmark: its figures are right, and every contender really trains."""

import sys
from pathlib import Path

import pytest
import torch

from bench import trainer as benchmark
from bench.columns import in_columns
from bench.contenders import Contender, contenders_of
from bench.trainer import NETWORKS, Cell
from bench.workers import shares
from cifar_core.data.resident import Splits
from cifar_core.networks import Net
from cifar_core.recipe import Recipe

CPU = torch.device("cpu")


def cell(**rates: list[float]) -> Cell:
    return Cell("net", "standard", 64, 640, rates, evaluation=4_000.0)


def test_rates_are_medians_and_ratios_are_of_the_same_round() -> None:
    """A machine that is twice as fast in one round is so for all."""
    one = cell(limit=[100.0, 200.0, 100.0], ours=[90.0, 180.0, 95.0])
    assert one.rate("limit") == 100.0
    assert one.ratio("ours", "limit") == pytest.approx(0.9)


def test_a_whole_epoch_has_one_image_to_validate_for_nine_to_train_on() -> None:
    """900 images at 900 a second, and 100 at 4,000: 1.025 seconds instead of 0.9."""
    one = cell(limit=[1000.0], ours=[900.0])
    assert one.whole_epoch == pytest.approx(900 / (1000 * (1 + 100 / 4000)))


def test_the_data_loader_stands_with_its_best_number_of_workers() -> None:
    one = cell(limit=[100.0], ours=[90.0], pil_0=[20.0], pil_1=[45.0], pil_2=[30.0], batched=[60.0])
    assert one.pil == "pil_1"
    assert one.line()[-3:] == ["45 (2.00x), 1 w", "60 (1.50x)", "-"]


def test_without_rivals_their_columns_are_empty() -> None:
    assert cell(limit=[100.0], ours=[90.0]).line()[-3:] == ["-", "-", "-"]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert in_columns(("a", "b"), [["long", "1"], ["x", "100"]]) == (
        "a       b\nlong    1\nx     100"
    )


def test_every_contender_trains_an_epoch_when_asked(small_splits: Splits) -> None:
    recipe = Recipe(network=Net(channels1=4, channels2=4), batch_size=50, epochs=1)
    ticks = iter(range(1_000))
    contenders: list[Contender] = contenders_of(
        recipe, "standard", ["batched", "pil_0"], small_splits, CPU, lambda: float(next(ticks))
    )
    try:
        assert [one.name for one in contenders] == ["limit", "ours", "batched", "pil_0"]
        steps = len(small_splits.train) // 50
        for one in contenders:
            for _ in range(2):  # a tick of the clock passes in each turn
                assert one.turn() == steps * 50
    finally:
        for one in contenders:
            one.close()


def test_the_networks_are_those_that_the_document_names() -> None:
    assert [(name, batch) for name, (_, batch) in NETWORKS.items()] == [
        ("net", 64),
        ("net_32_64", 128),
        ("resnet18_imagenet", 128),
    ]


@pytest.mark.parametrize("cores", [1, 2, 6, 64])
def test_cores_are_shared_out_among_more_and_more_workers(cores: int) -> None:
    ways = shares(cores)
    assert ways[0][0].threads == cores
    assert all(1 <= len(slots) * slots[0].threads <= cores for slots in ways)
    assert len(ways) == len({len(slots) for slots in ways})


@pytest.mark.slow
def test_the_command_measures_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    few = "--repetitions 1 --seconds 0.05 --networks net --levels none --rivals batched"
    command = ["bench.trainer", "--data", "synthetic", *few.split(), "--json", str(file)]
    # The test's own process goes on with the threads that it has.
    command += ["--threads", str(torch.get_num_threads())]
    monkeypatch.setattr(sys, "argv", command)
    benchmark.main()
    out, _ = capsys.readouterr()
    assert "net, 64, none" in out
    assert "synthetic" in out
    assert file.read_text().count('"batched"') == 1
