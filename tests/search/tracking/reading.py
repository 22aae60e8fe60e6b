"""What trackers have written, read by their own libraries."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Figures = dict[str, list[tuple[int, float]]]
"""Steps and values by name."""


@dataclass(frozen=True)
class Seen:
    parameters: dict[str, str]
    figures: Figures
    state: str


def read_tensorboard(home: Path) -> dict[str, Seen]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.metadata import (
        SESSION_START_INFO_TAG,
        parse_session_start_info_plugin_data,
    )

    found = {}
    (study,) = (home / "tensorboard").iterdir()
    for folder in study.iterdir():
        events = EventAccumulator(str(folder)).Reload()
        content = events.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
        values = parse_session_start_info_plugin_data(content).hparams.items()
        # A trial that paused and went on within a second has two files, not read in order of time.
        newest = max(events.Tensors("state/text_summary"), key=lambda text: text.wall_time)
        found[folder.name] = Seen(
            {name: str(getattr(one, one.WhichOneof("kind"))) for name, one in values},
            {
                tag: [(one.step, one.value) for one in events.Scalars(tag)]
                for tag in events.Tags()["scalars"]
                if tag not in {"hp_metric"}
            },
            newest.tensor_proto.string_val[0].decode(),
        )
    return found


def read_mlflow(home: Path) -> dict[str, Seen]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name("mine")
    found = {}
    for one in client.search_runs([experiment.experiment_id]):
        assert one.info.run_name not in found, "a run that continues is one run"
        tags = one.data.tags
        found[one.info.run_name] = Seen(
            dict(one.data.params),
            {
                name: [
                    (point.step, point.value)
                    for point in client.get_metric_history(one.info.run_id, name)
                ]
                for name in one.data.metrics
            },
            f"{tags['state']}: {tags['reason']}" if tags["reason"] else tags["state"],
        )
    return found


def read_wandb(home: Path) -> dict[str, Seen]:
    import json

    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, Seen] = {}
    # A later session of a run has a file of its own, which `wandb sync --append` adds to the first.
    for file in sorted((home / "wandb").glob("offline-run-*/*.wandb"), key=os.path.getmtime):
        name, parameters, figures = "", {}, {}
        summary: dict[str, str] = {}
        for data in _records(file.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "run":
                name = record.run.display_name
                for item in record.run.config.update:
                    parameters[item.key] = str(json.loads(item.value_json))
            elif record.WhichOneof("record_type") == "history":
                items = {
                    item.key or item.nested_key[0]: json.loads(item.value_json)
                    for item in record.history.item
                }
                step = record.history.step.num
                for key, value in items.items():
                    if not key.startswith("_"):
                        figures.setdefault(key, []).append((step, float(value)))
            elif record.WhichOneof("record_type") == "summary":
                for item in record.summary.update:
                    summary[item.key or item.nested_key[0]] = json.loads(item.value_json)
        for key in ("_wandb", "trial", "label"):
            parameters.pop(key, None)
        before = found[name].figures if name in found else {}
        for key, points in before.items():
            figures[key] = [*points, *figures.get(key, [])]
        state = summary["state"]
        found[name] = Seen(
            parameters, figures, f"{state}: {summary['reason']}" if summary["reason"] else state
        )
    return found


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a log in the format of LevelDB, in blocks of 32 KiB, after wandb's own seven bytes."""
    at, record = 7, b""
    while at < len(data):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in {1, 4}:  # it is whole, or this was its last part
            yield record
            record = b""


READERS = {"tensorboard": read_tensorboard, "mlflow": read_mlflow, "wandb": read_wandb}
