"""TensorBoard: a folder of event files for each run, with its hyperparameters."""

from collections.abc import Mapping
from pathlib import Path

from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from torch.utils.tensorboard import SummaryWriter

from search.home import safe_name
from search.tracking.tracker import End, Run, Subject

__all__ = ["TensorBoardTracker"]

FOLDER = "tensorboard"


class TensorBoardTracker:
    """Writes event files to DIR/STUDY/RUN; a run that continues gets another file in its folder.

    Args:
        place: DIR; a folder of the home by default.
        subject: The study.
    """

    def __init__(self, place: str | None, subject: Subject) -> None:
        root = subject.home / FOLDER if place is None else Path(place).expanduser()
        # With the identity: TensorBoard would draw an earlier study of this name into the same curves.
        self.folder = root / f"{safe_name(subject.study)}-{subject.identity[:8]}"
        self._writers: dict[str, SummaryWriter] = {}

    def begin(self, run: Run) -> None:
        """Open a file, and write the parameters."""
        writer = SummaryWriter(str(self.folder / run.name))
        self._writers[run.name] = writer
        if run.label:
            writer.add_text("label", run.label)
        # `add_hparams` would write them as a run of its own, and booleans as numbers. With the name, as
        # TensorBoard would else merge a trial and its confirmation, which have the same parameters.
        parameters = hparams_pb(run.parameters, trial_id=run.name)
        writer.file_writer.add_summary(parameters)  # type: ignore[attr-defined] # it is open
        writer.flush()

    def log(self, run: Run, step: int, figures: Mapping[str, float]) -> None:
        """Write figures so that they can be seen at once."""
        writer = self._writers[run.name]
        for name, value in figures.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def end(self, run: Run, end: End) -> None:
        """Write the state as text, and close the file."""
        writer = self._writers.pop(run.name)
        writer.add_text("state", end.state if end.reason is None else f"{end.state}: {end.reason}")
        writer.close()

    def close(self) -> None:
        """Do nothing: each file was closed with its run."""
