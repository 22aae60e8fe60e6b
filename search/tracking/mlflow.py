"""MLflow: the study as an experiment, in any store that MLflow can reach."""

import logging
import os
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.time import get_current_time_millis

from search.tracking.tracker import End, Run, Subject

__all__ = ["MlflowTracker"]

STUDY, RUN = "cifar_search.study", "cifar_search.run"
STATUS = {"failed": "FAILED", "paused": "SCHEDULED", "stopped": "SCHEDULED"}
"""MLflow's status by state; FINISHED for all others. A trial that may continue waits for its turn."""


class MlflowTracker:
    """Writes runs through MLflow's client; a run that continues is found by its tags.

    Args:
        place: The store's URI; MLFLOW_TRACKING_URI by default, or else a database in the home.
        subject: The study.
    """

    def __init__(self, place: str | None, subject: Subject) -> None:
        # A server that is away would else be waited for during minutes, before anybody is told.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        for library in ("mlflow", "alembic"):  # their news of new tables would break a live view
            logging.getLogger(library).setLevel(logging.WARNING)
        own = f"sqlite:///{subject.home.resolve()}/mlflow.db"
        self._client = MlflowClient(place or os.environ.get("MLFLOW_TRACKING_URI") or own)
        self._identity = subject.identity
        found = self._client.get_experiment_by_name(subject.study)
        self._experiment: str = (
            self._client.create_experiment(subject.study) if found is None else found.experiment_id
        )
        self._ids: dict[str, str] = {}

    def begin(self, run: Run) -> None:
        """Create a run with its parameters, or set the one that is there to running."""
        known = f"tags.`{STUDY}` = '{self._identity}' and tags.`{RUN}` = '{run.name}'"
        found = self._client.search_runs([self._experiment], known, max_results=1)
        if found:
            self._ids[run.name] = found[0].info.run_id
            self._client.update_run(self._ids[run.name], status="RUNNING")
            return
        tags = {STUDY: self._identity, RUN: run.name, "kind": run.kind, "trial": str(run.trial)}
        if run.label:
            tags["label"] = run.label
        created = self._client.create_run(self._experiment, tags=tags, run_name=run.name)
        self._ids[run.name] = created.info.run_id
        values = [Param(name, str(value)) for name, value in run.parameters.items()]
        self._client.log_batch(self._ids[run.name], params=values)

    def log(self, run: Run, step: int, figures: Mapping[str, float]) -> None:
        """Write figures in one request."""
        now = get_current_time_millis()
        values = [Metric(name, value, now, step) for name, value in figures.items()]
        self._client.log_batch(self._ids[run.name], metrics=values)

    def end(self, run: Run, end: End) -> None:
        """Write the state as a tag, and end the run."""
        there = self._ids.pop(run.name)
        self._client.set_tag(there, "state", end.state)
        self._client.set_tag(there, "reason", end.reason or "")
        if end.continues:
            self._client.update_run(there, status=STATUS[end.state])
        else:
            self._client.set_terminated(there, STATUS.get(end.state, "FINISHED"))

    def close(self) -> None:
        """Do nothing: every figure was written when it came."""
