"""The deciding part of a search: the next configuration, and whether a trial continues after an epoch.

Nothing here knows of processes, files or terminals. `FreezeThaw` is the default policy, `Promotion`
promotes trials from rung to rung, `OptunaPolicy` asks a sampler and a pruner of Optuna; `run_search`
runs a whole search by any of them, or by any other that fits `Policy`, against whatever yields learning
curves. The service asks the same policies.
"""

from search.policy.base import Decision, InvalidTrialError, Policy
from search.policy.freeze_thaw import FreezeThaw
from search.policy.knowledge import Belief, ExperienceRecord, Knowledge
from search.policy.optuna_policy import OptunaPolicy
from search.policy.promotion import Promotion
from search.policy.rungs import RungSystem, rungs_of
from search.policy.simulation import Seen, run_search

__all__ = [
    "Belief",
    "Decision",
    "ExperienceRecord",
    "FreezeThaw",
    "InvalidTrialError",
    "Knowledge",
    "OptunaPolicy",
    "Policy",
    "Promotion",
    "RungSystem",
    "Seen",
    "run_search",
    "rungs_of",
]
