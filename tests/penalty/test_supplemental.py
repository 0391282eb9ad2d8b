"""Recomputing a whole invented nation, whose true figures are known, from the file that CMS would print of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from hrrp.errors import InputContractError
from hrrp.penalty.supplemental import (
    Recomputation,
    agreeing_figure,
    figures_to_adopt,
    recompute,
    rounding_interval,
)
from hrrp.program import MEASURES, Reference
from hrrp.program.supplemental_file import SupplementalFile, SupplementalHospital, SupplementalMeasure

RULES = Reference().program_year(2028)


def again(file: SupplementalFile, **known: Any) -> Recomputation:
    return recompute(file, RULES, **known)


def with_row(file: SupplementalFile, number: int, **changes: Any) -> SupplementalFile:
    rows = list(file.hospitals)
    rows[number] = replace(rows[number], **changes)
    return replace(file, hospitals=tuple(rows))


def with_measure(file: SupplementalFile, number: int, measure: str, **changes: Any) -> SupplementalFile:
    measures = dict(file.hospitals[number].measures)
    measures[measure] = replace(measures[measure], **changes)
    return with_row(file, number, measures=measures)


def penalized(file: SupplementalFile) -> tuple[int, str]:
    """A hospital with a factor clear of the cap, and a measure that counts for it."""
    for number, row in enumerate(file.hospitals):
        for measure, figures in row.measures.items():
            if figures.penalty_indicator and row.paf and 0.98 < row.paf < 0.998:
                return number, measure
    raise AssertionError("the invented nation has no such hospital")


@pytest.mark.parametrize("seed", range(6))
def test_every_factor_lies_in_what_the_printed_figures_allow(nation: Any, seed: int) -> None:
    result = again(nation(hospitals=300, seed=seed))
    assert result.with_agreement("outside") == ()
    assert result.recomputed == 300
    assert len(result.with_agreement("exact")) >= 250
    assert result.complete
    assert result.peer_groups_agree == result.peer_groups_compared == 300
    assert result.medians_agree == result.medians_compared == 30
    assert result.penalty_indicators_differ == ()


def test_the_modifier_with_more_digits_is_multiplied_with(nation: Any) -> None:
    file = nation()
    number, _ = penalized(file)
    printed, full = again(file), again(file, neutrality_modifier=0.963512345)
    assert printed.neutrality_modifier == 0.9635
    assert full.neutrality_modifier == 0.963512345
    assert full.neutrality_modifier_published == 0.9635
    before, after = printed.hospitals[number].payment_reduction, full.hospitals[number].payment_reduction
    assert before and after
    assert after / before == pytest.approx(0.963512345 / 0.9635, rel=1e-12)


def test_a_modifier_that_does_not_round_to_the_printed_one_is_not_used(nation: Any) -> None:
    result = again(nation(), neutrality_modifier=0.97)
    assert result.neutrality_modifier == 0.9635
    assert any("disagree" in note for note in result.notes)


@pytest.mark.parametrize("shift", [-0.0004, 0.0004])
def test_a_published_factor_that_does_not_follow_is_outside(nation: Any, shift: float) -> None:
    file = nation()
    number, _ = penalized(file)
    row = file.hospitals[number]
    result = again(with_row(file, number, paf=round((row.paf or 0) + shift, 4)))
    assert result.with_agreement("outside") == (row.ccn,)


def test_the_interval_is_that_of_the_four_rounded_inputs() -> None:
    measures = {"HF": SupplementalMeasure(681, 1.0597, 0.9875, True, 0.0363)}
    row = SupplementalHospital("010001", 0.9975, 0.0025, 0.1731, 2, 0.9652, measures)
    result = again(SupplementalFile(2028, "", (row,), MEASURES))
    assert result.hospitals[0].allowed is not None
    low, high = result.hospitals[0].allowed
    largest = Decimal("0.96525") * Decimal("0.03635") * (Decimal("1.05975") - Decimal("0.98745"))
    smallest = Decimal("0.96515") * Decimal("0.03625") * (Decimal("1.05965") - Decimal("0.98755"))
    assert (low, high) == (float(1 - largest), float(1 - smallest))


def test_at_equal_printed_figures_the_indicator_decides_and_either_is_right(nation: Any) -> None:
    file = nation()
    number, measure = penalized(file)
    for flag in (True, False):
        tie = with_measure(
            file,
            number,
            measure,
            err=file.hospitals[number].measures[measure].peer_group_median,
            penalty_indicator=flag,
        )
        result = again(tie)
        assert result.penalty_indicators_differ == ()
        assert result.hospitals[number].allowed is not None
        assert result.hospitals[number].measures[measure].penalty_indicator is flag


def test_an_indicator_against_the_figures_is_named_and_the_hospital_outside(nation: Any) -> None:
    file = nation()
    number, measure = penalized(file)
    result = again(with_measure(file, number, measure, penalty_indicator=False))
    ccn = file.hospitals[number].ccn
    assert result.penalty_indicators_differ == ((ccn, measure),)
    assert result.with_agreement("outside") == (ccn,)
    assert result.hospitals[number].allowed is None
    assert result.hospitals[number].measures[measure].penalty_indicator is True


def test_an_indicator_of_yes_under_25_cases_contradicts(nation: Any) -> None:
    file = nation()
    number, measure = penalized(file)
    result = again(with_measure(file, number, measure, eligible_discharges=24))
    assert result.with_agreement("outside") == (file.hospitals[number].ccn,)


def test_without_indicators_the_figures_alone_are_compared(nation: Any) -> None:
    file = nation()
    for number, row in enumerate(file.hospitals):
        measures = {name: replace(figures, penalty_indicator=None) for name, figures in row.measures.items()}
        file = with_row(file, number, measures=measures)
    result = again(file)
    assert result.with_agreement("outside") == ()
    assert result.recomputed == 200


def test_a_counting_measure_without_its_payment_ratio_leaves_the_factor_unknown(nation: Any) -> None:
    file = nation()
    number, measure = penalized(file)
    result = again(with_measure(file, number, measure, drg_payment_ratio=None))
    assert result.hospitals[number].paf is None
    assert result.hospitals[number].agreement is None
    assert result.recomputed == 199


def test_a_part_of_the_file_keeps_its_own_medians_and_gets_no_groups(nation: Any) -> None:
    file = nation()
    part = again(replace(file, hospitals=file.hospitals[:60]))
    assert not part.complete
    assert part.peer_groups_agree is None
    assert part.medians is None
    assert part.medians_agree is None
    assert all(row.peer_group is None for row in part.hospitals)
    assert all(figures.peer_group_median is None for row in part.hospitals for figures in row.measures.values())
    assert part.with_agreement("outside") == ()
    assert part.recomputed == 60
    assert any(note.startswith("Not complete: 60 hospitals") for note in part.notes)


def test_a_file_complete_by_number_names_groups_and_medians_that_do_not_follow(nation: Any) -> None:
    file = nation()
    moved = with_row(file, 0, peer_group=5)
    result = again(moved, hospitals_in_file=200)
    assert result.complete
    assert result.peer_groups_compared == 200
    assert result.peer_groups_agree == 199
    assert result.hospitals[0].peer_group == 1
    assert not again(moved).complete


def test_equal_printed_shares_across_a_cut_agree_with_either_group(nation: Any) -> None:
    file = nation()
    last = next(number for number, row in enumerate(file.hospitals) if row.peer_group == 2) - 1
    share = file.hospitals[last].dual_proportion
    # The two hospitals beside the cut print the same share, and the one with the lower CCN has the higher group.
    swapped = with_row(file, last, peer_group=2)
    swapped = with_row(swapped, last + 1, peer_group=1, dual_proportion=share)
    result = again(swapped, hospitals_in_file=200)
    assert result.peer_groups_agree == 200
    assert (result.hospitals[last].peer_group, result.hospitals[last + 1].peer_group) == (2, 1)


def test_before_fy2019_the_comparison_is_with_one_and_maryland_is_exempt() -> None:
    measures = {
        "HF": SupplementalMeasure(100, 1.05, None, None, 0.04),
        "PN": SupplementalMeasure(24, 1.5, None, None, 0.1),
    }
    rows = tuple(
        SupplementalHospital(ccn, paf, None, None, None, None, measures)
        for ccn, paf in (("010001", 0.998), ("210001", 1.0), ("330001", 0.9985))
    )
    file = SupplementalFile(2015, "", rows, ("HF", "PN"))
    result = recompute(file, Reference().program_year(2015), None, 3476)
    # 0.04 * 0.05 = 0.002
    assert result.hospitals[0].paf == pytest.approx(0.998, abs=1e-15)
    assert result.hospitals[0].agreement == "exact"
    assert result.hospitals[1].paf is None
    assert result.with_agreement("outside") == ("330001",)
    assert result.neutrality_modifier is None
    assert not result.complete


def test_a_file_without_payment_ratios_is_listed_and_not_recomputed() -> None:
    row = SupplementalHospital("010001", 0.998, None, None, None, None, {"HF": SupplementalMeasure(100, 1.05)})
    file = SupplementalFile(2016, "", (row,), ("HF",), has_payment_ratios=False)
    result = recompute(file, Reference().program_year(2016))
    assert result.recomputed == 0
    assert result.hospitals[0].paf is None
    assert any("no DRG payment ratios" in note for note in result.notes)


@pytest.mark.parametrize(
    ("value", "decimals", "low", "high"),
    [
        (0.9483, 4, "0.94825", "0.94835"),
        (0.93, 4, "0.92995", "0.93005"),
        (0.965240165, 4, "0.9652401645", "0.9652401655"),
        (1.0, 4, "0.99995", "1.00005"),
    ],
)
def test_a_printed_figure_stands_for_what_rounds_to_it(value: float, decimals: int, low: str, high: str) -> None:
    assert rounding_interval(value, decimals) == (Decimal(low), Decimal(high))


def test_the_reference_figure_is_taken_only_where_it_rounds_to_the_printed_one() -> None:
    assert agreeing_figure(0.9652, 4, 0.96524016588985) == 0.96524016588985
    assert agreeing_figure(0.9652, 4, 0.9631) == 0.9652
    assert agreeing_figure(0.9652, 4, None) == 0.9652
    assert agreeing_figure(None, 4, 0.9652) is None


def test_a_complete_file_gives_the_rows_to_adopt(nation: Any) -> None:
    file = nation(hospitals=500)
    tables = figures_to_adopt(again(file), None, {}, usual_hospitals=900)
    assert {name: len(rows) for name, rows in tables.items()} == {
        "peer_group_medians": 30,
        "peer_group_cuts": 5,
        "program_years": 1,
    }
    national = tables["program_years"][0]
    assert (national["program_year"], national["neutrality_modifier"], national["hospitals_in_file"]) == (
        2028,
        0.9635,
        500,
    )
    assert sum(int(str(row["hospitals"])) for row in tables["peer_group_cuts"]) == 500
    medians = {(row["peer_group"], row["measure"]): row["median_err"] for row in tables["peer_group_medians"]}
    first = file.hospitals[0]
    assert medians[1, "HF"] == first.measures["HF"].peer_group_median


def test_a_figure_with_more_digits_is_not_given_up_for_the_printed_one(nation: Any) -> None:
    file = nation(hospitals=500)
    printed = file.hospitals[0].measures["HF"].peer_group_median or 0.0
    tables = figures_to_adopt(again(file), 0.963512345, {(1, "HF"): printed + 0.00002, (1, "AMI"): 0.5})
    medians = {(row["peer_group"], row["measure"]): row["median_err"] for row in tables["peer_group_medians"]}
    assert tables["program_years"][0]["neutrality_modifier"] == 0.963512345
    assert medians[1, "HF"] == printed + 0.00002
    assert medians[1, "AMI"] == file.hospitals[0].measures["AMI"].peer_group_median


def test_nothing_is_adopted_from_a_part_a_small_or_a_contradictory_file(nation: Any) -> None:
    file = nation(hospitals=500)
    number, _ = penalized(file)
    with pytest.raises(InputContractError, match="not the complete file"):
        figures_to_adopt(again(replace(file, hospitals=file.hospitals[:300])), None, {})
    with pytest.raises(InputContractError, match="lists 500 hospitals where CMS's files list about 2,912"):
        figures_to_adopt(again(file), None, {}, usual_hospitals=2912)
    with pytest.raises(InputContractError, match="1 published factors do not follow"):
        figures_to_adopt(again(with_row(file, number, paf=0.9702)), None, {})
