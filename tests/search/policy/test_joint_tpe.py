"""TPE that chooses conditional parameters together with the others."""

from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import Trial

from search.policy.joint_tpe import JointTPESampler


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
class TestJointTPESampler(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    """Optuna's own tests of samplers."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: JointTPESampler(0, n_startup_trials=0)


def choose(trial: Trial) -> dict[str, float | str]:
    """Each optimizer has its own learning rate."""
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam"])
    lr = trial.suggest_float(f"{optimizer}_lr", 0, 1)
    return {"optimizer": optimizer, "lr": lr, "momentum": trial.suggest_float("momentum", 0, 1)}


def study_of(optimizer: str, seed: int) -> optuna.Study:
    """Random trials, the last with this optimizer; what counts is that learning rate and momentum agree."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=seed))
    for number in range(80):
        if number == 79:
            study.enqueue_trial({"optimizer": optimizer})
        trial = study.ask()
        study.tell(trial, worth(choose(trial)))
    return study


def worth(values: dict[str, float | str]) -> float:
    return -abs(float(values["lr"]) - float(values["momentum"]))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_newest_trial_says_what_is_chosen_together(optimizer: str) -> None:
    study = study_of(optimizer, 1)
    found = JointTPESampler(0).infer_relative_search_space(study, study.trials[-1])
    assert list(found) == sorted(["momentum", "optimizer", f"{optimizer}_lr"])


def test_a_conditional_parameter_is_chosen_to_suit_the_others() -> None:
    """Optuna's own cannot: what all trials share has no learning rate in it."""
    average = {}
    for name, make in {"joint": JointTPESampler, "own": optunas_own}.items():
        values = []
        for seed in range(40):
            study = study_of("adam", seed)
            study.sampler = make(seed)
            values.append(worth(choose(study.ask())))
        average[name] = sum(values) / len(values)
    assert average["joint"] > average["own"] + 0.05


def optunas_own(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)
