"""Commands to run after a search, each complete: pasted into a shell it does what its purpose says."""

from dataclasses import dataclass

from cifar_core.data.split import VALIDATION_IMAGES
from search.command_lines import command_line
from search.results.summary import Summary
from spaces.errors import SpaceError
from spaces.files import load_space, shipped_names
from spaces.reading import quicker
from spaces.space import Space

__all__ = ["Step", "has_own_code", "next_steps"]

MOST_TRAINING_IMAGES = 50_000 - VALIDATION_IMAGES


@dataclass(frozen=True)
class Step:
    """A proposed command.

    Attributes:
        purpose: What it is for, in a few words.
        command: The command.
    """

    purpose: str
    command: str


def next_steps(
    summary: Summary, where: str = "", data: str | None = None, space: str | None = None
) -> list[Step]:
    """Return the commands that make sense after a search, the most likely first.

    Args:
        summary: The study.
        where: Options that name the study's place, as `where_flags` returns them.
        data: The value of ``--data``; None for the default.
        space: The name or file by which the space was given, or None.
    """
    study, steps = summary.study, list[Step]()
    if summary.state != "finished":
        steps.append(Step("continue", resume_command(summary, where, data)))
    steps += [
        Step("all trials", command_line("status", study, flags=where)),
        Step("plots in a browser", command_line("dashboard", flags=where)),
    ]
    if more := _confirm_command(summary, where, data):
        steps.append(more)
    if summary.exported is not None:
        top = command_line("export", study, flags=where, top=5)
        retrain = command_line(
            "train",
            summary.exported,
            seeds=3,
            data=data,
            trust=has_own_code(summary),
        )
        steps += [Step("the five best as files", top), Step("retrain the best", retrain)]
    if wider := _wider_search(summary, where, data, space):
        steps.append(Step("search further", wider))
    return steps


def resume_command(summary: Summary, where: str = "", data: str | None = None) -> str:
    """Return the command that continues a study; where its time is used up, with twice the time."""
    timeout = summary.budget.timeout
    used_up = timeout is not None and summary.seconds >= timeout
    longer = f"{2 * timeout:.0f}s" if timeout is not None and used_up else None
    return command_line(
        "resume", summary.study, flags=where, timeout=longer, data=data, trust=has_own_code(summary)
    )


def _confirm_command(summary: Summary, where: str, data: str | None) -> Step | None:
    """The command that confirms the best, or confirms it more closely; None where neither has a use."""
    found = summary.confirmation
    if summary.cells is not None or summary.best is None:
        return None
    if found is None:
        if summary.state == "stopped" and summary.budget.confirm is not None:
            return None  # the same as to continue
        return Step(
            "confirm the best",
            command_line(
                "confirm", summary.study, flags=where, data=data, trust=has_own_code(summary)
            ),
        )
    undecided = sum(one.tied_with_leader for one in found.ranking) > 1
    if not found.ended or not undecided:
        return None
    command = command_line(
        "confirm",
        summary.study,
        flags=where,
        seeds=2 * found.most_seeds,
        data=data,
        trust=has_own_code(summary),
    )
    return Step("confirm more closely", command)


def _wider_search(summary: Summary, where: str, data: str | None, given: str | None) -> str | None:
    """The same search with wider learning-rate bounds; None if the best rate is at no end of its range."""
    from search.plan import plan_of  # which imports PyTorch
    from search.request import StartRequest

    edge = summary.edge
    space = _origin(summary, given)
    if edge is None or space is None:
        return None
    settings, budget = summary.settings, summary.budget
    scale = None if space.quick is None else settings.scale
    default = plan_of(StartRequest(space.name, scale=scale or "auto"), space, [])
    return command_line(
        "start",
        flags=where,
        space=given or space.name,
        study=f"{summary.study}-wider",
        lr_bounds=edge.lr_bounds,
        data=data,
        scale=scale,
        trials=_other_than(default.budget.trials, budget.trials),
        timeout=None if budget.timeout is None else f"{budget.timeout:.0f}s",
        patience=budget.patience,
        epochs=_other_than(default.space.epochs, settings.space.epochs),
        train_images=_other_than(default.train_images or MOST_TRAINING_IMAGES, settings.data.train),
        sampler=_other_than(default.sampler, settings.sampler),
        pruner=_other_than(default.pruner, settings.pruner),
        seed=_other_than(0, settings.seed),
        keep=_other_than(default.budget.keep, budget.keep),
        known=_other_than("on", settings.known),
        experience=_other_than("on", settings.experience),
        beliefs=_other_than("on", settings.beliefs),
        confirm=_other_than(default.budget.confirm or "off", budget.confirm or "off"),
        trust=has_own_code(summary),
    )


def has_own_code(summary: Summary) -> bool:
    """Return whether the study's network is made by code of the user's, so that commands need consent."""
    return bool(summary.settings.space.builders)


def _origin(summary: Summary, given: str | None) -> Space | None:
    """The space as its file has it; None where the file is not known."""
    name = summary.settings.space.name
    if given is None and name not in shipped_names():
        return None
    try:
        space = load_space(given or name)
        searched = quicker(space) if summary.settings.scale == "quick" else space
    except SpaceError:  # the file is gone, or has changed since
        return None
    same = searched.with_epochs(summary.settings.space.epochs) == summary.settings.space
    return space if same else None


def _other_than(default: object, value: object) -> object:
    """`value`, or None where it is the default."""
    return None if value == default else value
