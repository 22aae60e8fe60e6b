"""Weights & Biases: the study as a group of runs, online or offline as WANDB_MODE says."""

import os
from collections.abc import Mapping
from pathlib import Path

import wandb

from search.errors import ServiceError
from search.tracking.tracker import End, Run, Subject

__all__ = ["WandbTracker"]

PROJECT = "cifar-search"
SECONDS = 20.0
"""The time that wandb's server gets for an answer."""


class WandbTracker:
    """Writes runs through wandb; each has an id made of its study and name, by which it continues.

    Args:
        place: The project; WANDB_PROJECT by default, or else ``cifar-search``.
        subject: The study.

    Raises:
        ServiceError: wandb has no key for its server, and would ask for one in the search's terminal.
    """

    def __init__(self, place: str | None, subject: Subject) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")  # it would write into the search's live view
        self._project = place or os.environ.get("WANDB_PROJECT") or PROJECT
        self._subject = subject
        self._runs: dict[str, wandb.Run] = {}
        self._settings = wandb.Settings(
            root_dir=os.environ.get("WANDB_DIR") or str(subject.home.resolve()),
            silent=True,
            console="off",  # the search's own output is not sent
            disable_code=True,
            disable_git=True,
            x_disable_stats=True,
            x_disable_meta=True,
            init_timeout=SECONDS,
            finish_timeout=SECONDS,
            finish_timeout_raises=True,
        )
        if os.environ.get("WANDB_MODE", "online") == "online" and not wandb.login(prompt=False):
            raise ServiceError("wandb has no key; run wandb login, or set WANDB_MODE=offline")

    def begin(self, run: Run) -> None:
        """Begin a run with its parameters as its configuration."""
        if run.name in self._runs:
            return
        Path(self._settings.root_dir).mkdir(parents=True, exist_ok=True)
        self._runs[run.name] = wandb.init(
            project=self._project,
            group=f"{self._subject.study}-{self._subject.identity[:8]}",
            job_type=run.kind,
            name=run.name,
            id=f"{self._subject.identity[:16]}-{run.name}",
            config={**run.parameters, "trial": run.trial, "label": run.label},
            resume="allow",
            reinit="create_new",
            settings=self._settings,
        )

    def log(self, run: Run, step: int, figures: Mapping[str, float]) -> None:
        """Hand figures to wandb's own process."""
        self._runs[run.name].log(dict(figures), step=step)

    def end(self, run: Run, end: End) -> None:
        """Write the state into the run's summary, and finish it, unless it may continue in this search."""
        there = self._runs[run.name]
        there.summary["state"] = end.state
        there.summary["reason"] = end.reason
        if end.state != "paused":
            there.finish(exit_code=1 if end.state == "failed" else 0)
            del self._runs[run.name]

    def close(self) -> None:
        """Finish the runs of paused trials, and end wandb's own process."""
        for run in self._runs.values():
            run.finish()
        wandb.teardown()
