"""Studies and trials in a readable form: short attributes and notes in place of records in JSON.

Only answers are changed; the study keeps what it has, and the CSV file has it in full.
"""

import json
import re
from collections.abc import Container, Mapping
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from search.dashboard.notes import attributes_of, study_attributes, study_note, trial_note
from search.dashboard.wsgi import Answer, Environ, Handler, path_of
from search.errors import ServiceError
from search.home import REPORT
from search.study import attributes
from search.study.rows import row_of
from search.study.settings import Budget, Settings
from search.study.study import SearchStudy

__all__ = ["readable"]

OWN_OF_TRIALS = {
    *(attributes.ENDING, attributes.EPOCHS, attributes.FORECAST, attributes.INTERRUPTIONS),
    *(
        attributes.KNOWN,
        attributes.REASON,
        attributes.RECIPE,
        attributes.SEED,
        attributes.SUGGESTED,
    ),
    *(attributes.TRIAL_SECONDS, attributes.WARM),
}
OWN_OF_STUDIES = {
    *(attributes.BUDGET, attributes.COPY_OF, attributes.CURVE_MODEL, attributes.EXPERIENCE),
    *(attributes.HOLDER, attributes.LR_BOUNDS, attributes.LR_CURVES, attributes.SECONDS),
    *(attributes.SETTINGS, attributes.STOP_REQUEST, attributes.STORED_AT, attributes.VERSIONS),
    attributes.WARM_SOURCES,
}
STUDIES = re.compile(r"/api/studies/*")
STUDY = re.compile(r"/api/studies/(\d+)/*")
PLOT = re.compile(r"lr-range-.*\.png")


def readable(handle: Handler, storage: BaseStorage, where: str, prefix: str) -> Handler:
    """Wrap `handle` so that the service's studies have short attributes, and notes where nobody wrote one.

    A user who edits a note saves it as his own; from then on it is shown as it is.

    Args:
        handle: Handler that answers with studies as optuna-dashboard does.
        storage: Storage of the studies.
        where: Flags that commands need to find the studies.
        prefix: Path under which browsers reach the dashboard.
    """

    def answer(environ: Environ) -> Answer:
        found = handle(environ)
        path = path_of(environ)
        one = STUDY.fullmatch(path)
        if environ["REQUEST_METHOD"] != "GET" or found.code != 200:
            return found
        if one is None and not STUDIES.fullmatch(path):
            return found
        content = found.read()
        document = json.loads(content)
        try:
            if one is not None:
                _make_readable(document, storage, int(one[1]), where, prefix)
            else:
                _shorten(document)
        except (
            OSError,
            KeyError,
            ServiceError,
            StorageInternalError,
            SQLAlchemyError,
            ValidationError,
        ):
            # Shown as optuna-dashboard has it; what is wrong with the study, other commands say.
            document = json.loads(content)
        content = json.dumps(document, separators=(",", ":")).encode()
        return Answer(found.status, found.headers, [content]).having(
            ("Content-Length", str(len(content)))
        )

    return answer


def _shorten(document: dict[str, Any]) -> None:
    """Leave out what the list of studies does not show: the records in the attributes."""
    for study in document["study_summaries"]:
        if any(one["key"] == attributes.SETTINGS for one in study["user_attrs"]):
            study["user_attrs"] = []


def _make_readable(
    document: dict[str, Any], storage: BaseStorage, number: int, where: str, prefix: str
) -> None:
    noted = storage.get_study_user_attrs(number)
    if attributes.SETTINGS not in noted:
        return
    study = SearchStudy(
        optuna.load_study(storage=storage, study_name=storage.get_study_name_from_id(number)),
        Settings.model_validate(noted[attributes.SETTINGS]),
        Budget.model_validate(noted[attributes.BUDGET]),
    )
    trials = storage.get_all_trials(number, deepcopy=False)
    rows = {trial.number: row_of(trial, study.settings.space) for trial in trials}
    searched = {field for one in study.settings.space.parameters.values() for field in one.fields()}
    keys: dict[str, bool] = {}
    for trial in [*document["trials"], *document["best_trials"]]:
        row = rows.get(trial["number"])
        if row is not None:
            trial["user_attrs"] = _merged(trial["user_attrs"], attributes_of(row), OWN_OF_TRIALS)
            if _is_empty(trial["note"]):
                trial["note"]["body"] = trial_note(row, searched)
    for row in rows.values():
        for key, value in attributes_of(row).items():
            keys[key] = keys.get(key, True) and not isinstance(value, str)
    document["union_user_attrs"] = [
        *({"key": key, "sortable": sortable} for key, sortable in keys.items()),
        *(
            one
            for one in document["union_user_attrs"]
            if one["key"] not in OWN_OF_TRIALS | keys.keys()
        ),
    ]
    own = study_attributes(study, list(rows.values()))
    document["user_attrs"] = _merged(document["user_attrs"], own, OWN_OF_STUDIES)
    if _is_empty(document["note"]):
        files = {
            one["filename"]: f"{prefix}/artifacts/{number}/{one['artifact_id']}"
            for one in document.get("artifacts", [])
        }
        plots = {name: address for name, address in files.items() if PLOT.fullmatch(name)}
        document["note"]["body"] = study_note(
            study, list(rows.values()), plots, where, files.get(REPORT)
        )


def _is_empty(note: Mapping[str, Any]) -> bool:
    """Return whether nobody has ever saved a note."""
    return note["version"] == 0 and not note["body"]


def _merged(
    shown: list[dict[str, str]], short: Mapping[str, str | float], own: Container[str]
) -> list[dict[str, str]]:
    """Return short attributes in place of the service's own; those of others stay."""
    others = [one for one in shown if one["key"] not in own and one["key"] not in short]
    return [*({"key": key, "value": str(value)} for key, value in short.items()), *others]
