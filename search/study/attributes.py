"""Names of the user attributes in which the service keeps its notes in an Optuna study.

Parameters hold only what was searched; everything else is a user attribute under one of these names.
"""

# Of a study.
SETTINGS = "settings"
BUDGET = "budget"
CONFIRMATION = "confirmation"
COPY_OF = "copy_of"
CURVE_MODEL = "curve_model"
EXPERIENCE = "experience"
HOLDER = "holder"
IDENTITY = "identity"
LR_BOUNDS = "lr_bounds"
OWN_CODE = "own_code"
LR_CURVES = "lr_range_curves"
PIXELS = "pixels"
SECONDS = "seconds"
STOP_REQUEST = "stop_request"
STORED_AT = "created"
VERSIONS = "versions"
WARM_SOURCES = "warm_start"

# Of a trial.
ENDING = "ending"
EPOCHS = "epochs"
FORECAST = "forecast"
INTERRUPTIONS = "interruptions"
KNOWN = "known"
REASON = "reason"
RECIPE = "recipe"
SEED = "seed"
SUGGESTED = "suggested"
TRIAL_SECONDS = "seconds"
WARM = "warm_start"


def experience_part(number: int) -> str:
    """The name of one of the notes that hold a study's experience, counted from 1."""
    return f"{EXPERIENCE}_{number}"
