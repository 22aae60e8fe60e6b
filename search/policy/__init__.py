"""What decides in a search: which configuration is next, and whether a trial goes on after an epoch.

Nothing here knows of processes, files or terminals. `Promotion` is the default policy, `OptunasOwn` asks a
sampler and a pruner of Optuna's; `run_search` runs a whole search by either of them, or by any other that
fits `Policy`, against whatever yields learning curves. The service asks the same policies.
"""

from search.policy.ladder import Ladder, rungs_of
from search.policy.optunas import OptunasOwn
from search.policy.promotion import Promotion
from search.policy.simulation import Seen, run_search
from search.policy.verdict import Policy, Unusable, Verdict

__all__ = [
    "Ladder",
    "OptunasOwn",
    "Policy",
    "Promotion",
    "Seen",
    "Unusable",
    "Verdict",
    "run_search",
    "rungs_of",
]
