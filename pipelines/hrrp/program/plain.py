"""Documents as JSON carries them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any, nothing: tuple[type, ...] = ()) -> Any:
    """`value` in plain Python: NaN and infinite become null, numpy scalars Python's, paths and dates text; so does an instance of
    `nothing` become null."""
    if isinstance(value, nothing):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item, nothing) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, nothing) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)) and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)
