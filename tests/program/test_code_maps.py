"""The rules by which the code maps are built, on a few codes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    path = CHECKOUT / "scripts" / "reference" / "build_code_maps.py"
    if not path.is_file():
        pytest.skip("the build scripts are not part of this copy")
    spec = importlib.util.spec_from_file_location("build_code_maps", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ahrq_files_quote_codes_once_more(build: ModuleType) -> None:
    text = "'ICD-10-CM CODE','CCS CATEGORY','X'\n'A150','1',\"Tuberculosis, of lung\"\n'I509 ','108 ',\"x\"\n"
    assert build.ahrq_ccs(text) == {"A150": "1", "I509": "108"}


def test_leaves_leave_out_chapters_blocks_and_headings(build: ModuleType) -> None:
    names = ["1", "A00-A09", "A00", "A000", "A001", "B20", "B20-B20", "S72", "S72001A"]
    assert build.leaves(names) == {"A000", "A001", "B20", "S72001A"}


def test_longest_prefix_wins_and_exclusions_hold(build: ModuleType) -> None:
    gaps = {"N": ("1", ()), "N13": ("145", ("N136",)), "N1361": ("144", ())}
    assert build.gap_category("N1310", gaps) == "145"
    assert build.gap_category("N1361", gaps) == "144"
    assert build.gap_category("N136", gaps) == "1", "excluded from the longer prefix, the shorter one takes it"
    assert build.gap_category("M10", gaps) is None


def test_order_of_the_sources(build: ModuleType) -> None:
    origin = build.condition_categories(
        v22={"E11311": {"18", "122"}, "F20": {"57"}},
        v24={"F28": {"58"}, "F32": {"59"}, "F015": {"51"}, "F20": {"57"}, "F111": {"55"}},
        gaps={"F": ("63", ()), "R": ("178", ()), "I": ("98", ())},
        codes=["E11311", "F015", "F111", "F20", "F32", "F28", "R0901", "I132"],
    )
    assert origin == {
        ("E11311", "18"): "V22",
        ("E11311", "122"): "V22",
        ("F20", "57"): "V22",
        ("F28", "59"): "V24",  # V24's 58 is V22's 59
        ("F015", "51"): "V24",
        ("F32", "63"): "gap prefix",  # V24's 59 is dropped
        ("F111", "63"): "gap prefix",  # of V24 only the categories that V22 does not pay for
        ("R0901", "178"): "gap prefix",
        ("I132", "98"): "gap prefix",
        ("R0901", "84"): "patch",
        ("R0902", "84"): "patch",
        ("I132", "85"): "patch",
    }
