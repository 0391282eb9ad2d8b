"""Risk adjustment: random-intercept logit, its results, bootstrap, published-coefficient scoring, one-hospital effect.

Names are found when they are first used, so that importing this package costs nothing (numba and statsmodels are slow
to import).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hrrp.model.bootstrap import BootstrapResults
    from hrrp.model.one_hospital import (
        EffectPosterior,
        HospitalEffect,
        HospitalEffects,
        draw_errs,
        err_posterior,
        hospital_effect,
        hospital_effects,
    )
    from hrrp.model.random_intercept import RandomInterceptLogit
    from hrrp.model.results import RandomInterceptResults

_WHERE = {
    "BootstrapResults": "bootstrap",
    "RandomInterceptLogit": "random_intercept",
    "RandomInterceptResults": "results",
    "EffectPosterior": "one_hospital",
    "HospitalEffect": "one_hospital",
    "HospitalEffects": "one_hospital",
    "draw_errs": "one_hospital",
    "err_posterior": "one_hospital",
    "hospital_effect": "one_hospital",
    "hospital_effects": "one_hospital",
}

__all__ = [
    "BootstrapResults",
    "EffectPosterior",
    "HospitalEffect",
    "HospitalEffects",
    "RandomInterceptLogit",
    "RandomInterceptResults",
    "draw_errs",
    "err_posterior",
    "hospital_effect",
    "hospital_effects",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"hrrp.model.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
