"""What decides in a search: which configuration is next, and whether a trial goes on after an epoch.

Nothing here knows of processes, files or terminals. `Promotion` is the default policy, `OptunaPolicy` asks
a sampler and a pruner of Optuna; `run_search` runs a whole search by either, or by any other that fits
`Policy`, against whatever yields learning curves. The service asks the same policies.
"""

from search.policy.base import InvalidTrialError, Policy, Verdict
from search.policy.optuna_policy import OptunaPolicy
from search.policy.promotion import Promotion
from search.policy.rungs import RungSystem, rungs_of
from search.policy.simulation import Seen, run_search

__all__ = [
    "InvalidTrialError",
    "OptunaPolicy",
    "Policy",
    "Promotion",
    "RungSystem",
    "Seen",
    "Verdict",
    "run_search",
    "rungs_of",
]
