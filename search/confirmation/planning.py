"""The contenders of a confirmation: the best trials of a search, and the best known configurations."""

from search.confirmation.conclusion import conclude
from search.errors import UsageError
from search.study import attributes
from search.study.confirmation import (
    Confirmation,
    ConfirmationPlan,
    ConfirmationRun,
    Contender,
    ImagesIdentity,
    Role,
)
from search.study.rows import TrialRow, best_rows
from search.study.study import SearchStudy

__all__ = ["CLOSE", "chosen", "conclusion_of", "is_pending", "plan_for", "read_plan", "read_runs"]

CLOSE = 0.03
"""A known configuration whose score is this much below that of the best of them is not confirmed: twice the
standard deviation of the difference of two scores, see docs/CONFIRMATION.md."""


def chosen(study: SearchStudy, top: int | None) -> list[tuple[TrialRow, Role]]:
    """Return the trials whose configurations are to be confirmed, as the study stands.

    Args:
        study: The study.
        top: Number of its best trials; None if nothing is to be confirmed.

    Returns:
        The best trials, then the best known configurations; each recipe once. Nothing without a complete
        trial.
    """
    if top is None:
        return []
    recipes: list[object] = []
    finalists: list[TrialRow] = []
    references: list[TrialRow] = []
    complete = [row for row in best_rows(study.rows(), len(study.rows())) if row.recipe is not None]
    # A trial that repeats a known configuration is that configuration.
    for row in sorted(complete, key=lambda row: not row.known):
        if row.recipe not in recipes:
            recipes.append(row.recipe)
            (references if row.known else finalists).append(row)
    close = [row for row in references if row.score >= references[0].score - CLOSE]
    return [
        *((row, "finalist") for row in finalists[:top]),
        *((row, "reference") for row in close),
    ]


def is_pending(study: SearchStudy) -> bool:
    """Return whether a study whose search is finished has a confirmation to begin or to continue."""
    plan, budget = read_plan(study), study.budget
    if not chosen(study, budget.confirm):
        return False
    wanted = budget.confirm, budget.confirm_seeds
    return plan is None or (plan.top, plan.seeds) != wanted or not _is_over(study, plan)


def conclusion_of(study: SearchStudy) -> Confirmation | None:
    """Return what the trainings of a study's confirmation say; None before the first.

    If the study has better trials since, the confirmation is not over.
    """
    plan = read_plan(study)
    if plan is None:
        return None
    plan = plan.model_copy(update={"ended": _is_over(study, plan)})
    return conclude(plan, read_runs(study))


def _is_over(study: SearchStudy, plan: ConfirmationPlan) -> bool:
    contenders = [one.trial for one in plan.contenders]
    return plan.ended and contenders == [row.number for row, _ in chosen(study, plan.top)]


def plan_for(study: SearchStudy) -> ConfirmationPlan:
    """Return the plan of a study's confirmation, as the study stands.

    Raises:
        UsageError: No trial is complete.
    """
    from cifar_core.models.counting import count  # which loads PyTorch
    from cifar_core.recipe import Recipe

    contenders = []
    for row, role in chosen(study, study.budget.confirm):
        recipe = Recipe.read(row.recipe, f"the recipe of trial {row.number}")
        contenders.append(
            Contender(
                trial=row.number,
                role=role,
                name=_name(row),
                search_accuracy=max(0.0, row.score),
                multiply_adds=count(recipe.network).multiply_adds,
                epochs=recipe.epochs,
            )
        )
    if not contenders:
        raise UsageError(
            f"Study {study.name} has no complete trial yet, so there is nothing to confirm. "
            "Continue it with cifar-search resume."
        )
    data = study.data
    return ConfirmationPlan(
        top=study.budget.confirm or len(contenders),
        seeds=study.budget.confirm_seeds,
        images=ImagesIdentity(
            count=data.confirming or data.validation,
            split=data.split,
            took_no_part=data.confirming > 0,
        ),
        contenders=contenders,
    )


def read_plan(study: SearchStudy) -> ConfirmationPlan | None:
    """Return the plan that a study has noted; None before its confirmation."""
    note = study.note(attributes.CONFIRMATION)
    return None if note is None else ConfirmationPlan.model_validate(note)


def read_runs(study: SearchStudy) -> list[ConfirmationRun]:
    """Return the finished trainings of a study's confirmations, by trial and repeat."""
    found = [
        ConfirmationRun.model_validate(value)
        for key, value in study.optuna.user_attrs.items()
        if key.startswith(f"{attributes.CONFIRMATION}:")
    ]
    return sorted(found, key=lambda run: (run.trial, run.repeat))


def _name(row: TrialRow) -> str:
    if not row.known or row.label is None:
        return f"trial {row.number}"
    return row.label if row.label.startswith("reference") else f"reference {row.label}"
