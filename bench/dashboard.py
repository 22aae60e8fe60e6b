"""Measure the size of a study on its way to the browser, and the cost of compressing it.

    python -m bench.dashboard [--trials 5000] [--epochs 12] [--repetitions 5] [--json FILE]

A study is made up whose trials have what those of a search have: parameters, a value, the notes of each
epoch, the recipe. It is kept in memory, as the dashboard keeps the trials that are finished. A page asks
for all of it when it is opened, and again and again while something runs. Medians of the time that an
answer takes inside of the server, as it is and compressed as the dashboard does it; then the same bytes at
several levels of gzip, and how long they are on their way altogether over two networks.
"""

import argparse
import gzip
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from optuna_dashboard import wsgi

from bench.columns import in_columns
from bench.machine import described_machine
from cifar_core.recipe import Recipe
from search.dashboard.compression import LEVEL, compressed
from search.dashboard.wsgi import Environ, handler_of
from search.study import attributes

LEVELS = (1, 2, 3, 4, 6, 9)
NETWORKS = {"10 Mbit/s": 10e6, "100 Mbit/s": 100e6}
DISTRIBUTIONS: dict[str, FloatDistribution | IntDistribution] = {
    "adam_lr": FloatDistribution(1e-5, 0.1, log=True),
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "crop_padding": IntDistribution(0, 4),
    "batch_size": IntDistribution(16, 512, log=True),
    "channels1": IntDistribution(6, 256, log=True),
    "channels2": IntDistribution(16, 256, log=True),
}


def made_up(epochs: int, choices: np.random.Generator) -> FrozenTrial:
    """A finished trial that never ran."""
    accuracies = np.sort(choices.uniform(0.1, 0.8, epochs)).round(4).tolist()
    params = {
        name: one.to_external_repr(choices.uniform(one.low, one.high))
        for name, one in DISTRIBUTIONS.items()
    }
    notes = [
        {
            "number": number,
            "train_loss": round(choices.uniform(0.5, 2.3), 6),
            "train_accuracy": round(choices.uniform(0.1, 0.8), 6),
            "validation_loss": round(choices.uniform(0.5, 2.3), 6),
            "validation_accuracy": accuracy,
            "lr": params["adam_lr"],
            "seconds": round(choices.uniform(1.0, 9.0), 3),
        }
        for number, accuracy in enumerate(accuracies, 1)
    ]
    return create_trial(
        state=TrialState.COMPLETE,
        value=accuracies[-1],
        params=params,
        distributions=dict(DISTRIBUTIONS),
        intermediate_values=dict(enumerate(accuracies, 1)),
        user_attrs={
            attributes.SEED: int(choices.integers(2**31)),
            attributes.RECIPE: Recipe().to_dict(),
            attributes.EPOCHS: notes,
            attributes.TRIAL_SECONDS: round(choices.uniform(10.0, 90.0), 3),
        },
    )


def asked(accept: str) -> Environ:
    """What a server makes of a browser's request for the study."""
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/studies/0",
        "QUERY_STRING": "",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT_ENCODING": accept,
        "wsgi.url_scheme": "http",
    }


def timed(run: Callable[[], bytes], repetitions: int) -> tuple[list[float], int]:
    """Seconds of each run, and how many bytes came out."""
    seconds, length = [], 0
    for _ in range(repetitions):
        began = time.perf_counter()
        length = len(run())
        seconds.append(time.perf_counter() - began)
    return seconds, length


def main() -> None:
    """Read the command line, measure, print, and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.dashboard", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=12, help="epochs of each trial")
    parser.add_argument("--repetitions", type=int, default=5, help="turns of each piece")
    parser.add_argument("--json", type=Path, help="file to write every figure to")
    wanted = parser.parse_args()
    if min(wanted.trials, wanted.epochs, wanted.repetitions) < 1:
        parser.error("--trials, --epochs and --repetitions must be at least 1.")
    machine = described_machine(torch.device("cpu"))
    print(machine, flush=True)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    choices = np.random.default_rng(0)
    study = optuna.create_study(study_name="made up", direction="maximize")
    study.add_trials([made_up(wanted.epochs, choices) for _ in range(wanted.trials)])
    handle = compressed(handler_of(wsgi(study._storage)))  # noqa: SLF001 - has no other name
    first = handle(asked(""))
    assert first.code == 200, first
    plain = first.read()
    answers: dict[str, dict[str, Any]] = {}
    for name, accept in (("as it is", ""), (f"gzip, level {LEVEL}", "gzip")):
        seconds, length = timed(lambda: handle(asked(accept)).read(), wanted.repetitions)  # noqa: B023
        answers[name] = {"seconds": seconds, "bytes": length}
    levels: dict[str, dict[str, Any]] = {"none": {"seconds": [0.0], "bytes": len(plain)}}
    for level in LEVELS:
        seconds, length = timed(lambda: gzip.compress(plain, level, mtime=0), wanted.repetitions)  # noqa: B023
        levels[str(level)] = {"seconds": seconds, "bytes": length}

    print(f"{wanted.trials} trials of {wanted.epochs} epochs")
    rows = [
        [name, f"{one['bytes'] / 1e6:.2f}", f"{1000 * statistics.median(one['seconds']):.0f}"]
        for name, one in answers.items()
    ]
    print("", in_columns(("an answer", "MB", "ms"), rows), sep="\n")
    rows = []
    for name, one in levels.items():
        spent = statistics.median(one["seconds"])
        ways = [f"{spent + 8 * one['bytes'] / rate:.2f} s" for rate in NETWORKS.values()]
        rows.append([name, f"{one['bytes'] / 1e6:.2f}", f"{1000 * spent:.0f}", *ways])
    print("", in_columns(("level of gzip", "MB", "ms", *NETWORKS), rows), sep="\n")
    if wanted.json is not None:
        document = {"machine": machine, "answers": answers, "levels": levels}
        wanted.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
