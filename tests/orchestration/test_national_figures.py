"""Setting national_figures = "fit": a small nation's own peer groups, medians and modifier, held against a count by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hrrp.errors import UsageError
from hrrp.intake.simulation import Options, simulate, write_simulation
from hrrp.orchestration import notes
from hrrp.orchestration.python_tables import PYTHON_TABLES
from hrrp.orchestration.runner import run_pipeline
from hrrp.orchestration.scoring import forecast_inputs, hospital_measures
from hrrp.program import MEASURES, Reference
from hrrp.settings import Settings, load_settings
from hrrp.warehouse import Warehouse, load_steps, open_warehouse

YEAR, CAP = 2028, 0.03


@dataclass(frozen=True)
class Nation:
    settings: Settings
    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "out" / "hrrp.duckdb"


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> Nation:
    folder = tmp_path_factory.mktemp("nation")
    write_simulation(simulate(Options(40, 30_000, 11, date(2023, 7, 1), date(2026, 7, 31))), folder / "extract")
    settings = load_settings(
        data=folder / "extract",
        out=folder / "out",
        site_reference=folder / "site",
        program_years=(YEAR,),
        reference="fit",
        national_figures="fit",
        draws=100,
        threads=1,
    )
    run_pipeline(settings)
    return Nation(settings, folder)


@pytest.fixture
def copy(nation: Nation, tmp_path: Path) -> Iterator[Warehouse]:
    """The run's warehouse, to change."""
    shutil.copy(nation.database, tmp_path / "copy.duckdb")
    with open_warehouse(tmp_path / "copy.duckdb", nation.settings) as warehouse:
        yield warehouse


def read(nation: Nation, sql: str) -> pd.DataFrame:
    with open_warehouse(nation.database, nation.settings, read_only=True) as warehouse:
        return warehouse.read(sql)


def again(warehouse: Warehouse, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """result.hospital_measures and result.hospital_penalties, made again from the tables before them."""
    found = hospital_measures(warehouse, settings, Reference())
    (columns,) = (table.columns for table in PYTHON_TABLES if table.name == "result.hospital_measures")
    warehouse.write("result.hospital_measures", found[list(columns)], columns)
    (step,) = (step for step in load_steps() if step.name == "result.hospital_penalties")
    warehouse.run_step(step, {})
    return (
        warehouse.read("select * from result.hospital_measures"),
        warehouse.read("select * from result.hospital_penalties order by ccn"),
    )


def by_hand(measures: pd.DataFrame, penalties: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Wide ERRs, and the reductions (at modifier 1) with and without peer grouping before the cap, from the medians in the table."""
    err = measures.pivot(index="ccn", columns="measure", values="err")
    excess = {}
    for name, comparison in (("new", measures["peer_group_median"]), ("old", 1.0)):
        part = measures["drg_payment_ratio"] * (measures["err"] - comparison).clip(lower=0)
        part = part.where(measures["eligible_discharges"] >= 25, 0.0).fillna(0.0)
        excess[name] = part.groupby(measures["ccn"]).sum().loc[penalties["ccn"]].to_numpy()
    return err, excess["new"], excess["old"]


def test_groups_and_medians_are_those_of_this_runs_hospitals(nation: Nation) -> None:
    measures = read(nation, "select * from result.hospital_measures")
    penalties = read(nation, "select * from result.hospital_penalties order by dual_proportion, ccn")
    assert penalties["peer_group"].tolist() == [5 * rank // 41 + 1 for rank in range(1, 41)]
    group = dict(zip(penalties["ccn"], penalties["peer_group"], strict=True))
    assert (measures["ccn"].map(group) == measures["peer_group"]).all()
    for measure in MEASURES:
        own = measures[measures["measure"] == measure]
        for number in range(1, 6):
            ratios = sorted(own.loc[own["peer_group"] == number, "err"].dropna())
            middle = len(ratios) // 2
            expected = ratios[middle] if len(ratios) % 2 else (ratios[middle - 1] + ratios[middle]) / 2
            printed = own.loc[own["peer_group"] == number, "peer_group_median"].unique()
            assert printed == pytest.approx([expected], abs=1e-14), (measure, number)
    known = measures.dropna(subset=["err"])
    above = (known["eligible_discharges"] >= 25) & (known["err"] > known["peer_group_median"])
    assert (known["penalty_indicator"] == above).all()
    # And they are not CMS's.
    published = Reference().peer_group_medians(YEAR).value
    gaps = [abs(row.peer_group_median - published[row.peer_group, row.measure]) for row in known.itertuples()]
    assert max(gaps) > 0.01


def test_the_modifier_balances_what_the_old_formula_would_save(nation: Nation) -> None:
    measures = read(nation, "select * from result.hospital_measures")
    penalties = read(nation, "select * from result.hospital_penalties order by ccn")
    _, new, old = by_hand(measures, penalties)
    (modifier,) = penalties["neutrality_modifier"].unique()
    assert modifier != pytest.approx(Reference().neutrality_modifier(YEAR).value, abs=1e-3)
    payments = penalties["annual_base_operating_payments"].to_numpy()
    saved = payments @ np.minimum(old, CAP)
    assert saved > 0
    assert payments @ np.minimum(modifier * new, CAP) == pytest.approx(saved, rel=1e-10)
    assert penalties["payment_reduction"].to_numpy() == pytest.approx(np.minimum(modifier * new, CAP), abs=1e-14)
    assert penalties["penalty_usd"].sum() == pytest.approx(saved, rel=1e-10)
    assert penalties["paf"].between(1 - CAP, 1).all() and penalties["paf"].nunique() > 5
    assert penalties["paf"].to_numpy() == pytest.approx(1 - penalties["payment_reduction"].to_numpy(), abs=1e-15)


def test_the_notes_name_whose_figures_they_are(nation: Nation) -> None:
    said = read(nation, "select note from result.notes order by position")["note"].tolist()
    assert said[0].startswith("peer medians, groups and modifier computed from the 40 hospitals of this run")
    assert not any("left out" in note or "no neutrality modifier" in note for note in said)
    stand_ins = [
        note for note in said if "modifier not published" in note or ("peer group" in note and "published:" in note)
    ]
    assert len(stand_ins) == 3
    assert all(note.endswith("in the forecast only") for note in stand_ins)


def test_a_hospital_without_a_dual_proportion_is_left_out_and_its_result_unknown(
    nation: Nation, copy: Warehouse
) -> None:
    ((ccn,),) = copy.rows(
        "select ccn from result.hospital_measures where measure = 'HF' and eligible_discharges >= 25 order by err desc limit 1"
    )
    copy.execute("update payment.dual_proportions set dual_proportion = null where ccn = $ccn", {"ccn": ccn})
    measures, penalties = again(copy, nation.settings)
    own, rest = measures[measures["ccn"] == ccn], penalties[penalties["ccn"] != ccn]
    assert own["peer_group"].isna().all() and own["peer_group_median"].isna().all()
    enough = own["eligible_discharges"] >= 25
    assert enough.any()
    assert own.loc[enough, "contribution"].isna().all() and (own.loc[~enough, "contribution"] == 0).all()
    (penalty,) = penalties[penalties["ccn"] == ccn].to_dict(orient="records")
    assert all(pd.isna(penalty[name]) for name in ("peer_group", "payment_reduction", "paf", "penalty_usd"))
    # The others' groups are of 39, and their modifier balances without it.
    ranked = rest.sort_values(["dual_proportion", "ccn"])
    assert ranked["peer_group"].tolist() == [5 * rank // 40 + 1 for rank in range(1, 40)]
    _, new, old = by_hand(measures, rest)
    payments = rest["annual_base_operating_payments"].to_numpy()
    balanced = payments @ np.minimum(rest["neutrality_modifier"].to_numpy() * new, CAP)
    assert balanced == pytest.approx(payments @ np.minimum(old, CAP), rel=1e-10)
    said = notes.figures_of_this_run(copy, nation.settings, YEAR)
    assert "computed from the 39 hospitals" in said[0]
    assert said[1].startswith("1 hospital(s) without a dual proportion, or exempt")


def test_a_hospital_without_payments_is_left_out_of_the_modifier(nation: Nation, copy: Warehouse) -> None:
    ((ccn,),) = copy.rows(
        "select ccn from result.hospital_measures where contribution > 0 order by contribution desc limit 1"
    )
    copy.execute(
        "update payment.annual_payments set annual_base_operating_payments = null where ccn = $ccn", {"ccn": ccn}
    )
    copy.execute("delete from payment.drg_payment_ratios where ccn = $ccn", {"ccn": ccn})
    before = copy.read("select ccn, measure, peer_group_median from result.hospital_measures")
    measures, penalties = again(copy, nation.settings)
    # It still counts in groups and medians.
    same = measures.merge(before, on=["ccn", "measure"])
    assert same["peer_group_median_x"].to_numpy() == pytest.approx(same["peer_group_median_y"].to_numpy(), nan_ok=True)
    own = measures[measures["ccn"] == ccn]
    assert own["penalty_indicator"].any()
    assert own.loc[own["penalty_indicator"], "contribution"].isna().all()
    (penalty,) = penalties[penalties["ccn"] == ccn].to_dict(orient="records")
    assert all(pd.isna(penalty[name]) for name in ("payment_reduction", "paf"))
    rest = penalties[penalties["ccn"] != ccn]
    _, new, old = by_hand(measures, rest)
    payments = rest["annual_base_operating_payments"].to_numpy()
    balanced = payments @ np.minimum(rest["neutrality_modifier"].to_numpy() * new, CAP)
    assert balanced == pytest.approx(payments @ np.minimum(old, CAP), rel=1e-10)
    inputs = forecast_inputs(copy, nation.settings, Reference())
    (columns,) = (table.columns for table in PYTHON_TABLES if table.name == "result.forecast_inputs")
    copy.write("result.forecast_inputs", inputs[list(columns)], columns)
    said = notes.figures_of_this_run(copy, nation.settings, YEAR)
    assert said[1:] == [
        "1 hospital(s) without base operating payments are left out of the neutrality modifier; their dollars are unknown"
    ]


def test_exempt_hospitals_stand_outside_and_a_stated_group_gives_way(nation: Nation, copy: Warehouse) -> None:
    exempt, stated = (ccn for (ccn,) in copy.rows("select ccn from staging.hospitals order by ccn limit 2"))
    copy.execute("update staging.hospitals set exempt = true where ccn = $ccn", {"ccn": exempt})
    ((own,),) = copy.rows("select peer_group from result.hospital_penalties where ccn = $ccn", {"ccn": stated})
    other = 1 if own > 2 else 5
    copy.execute("update staging.hospitals set peer_group = $group where ccn = $ccn", {"ccn": stated, "group": other})
    _, penalties = again(copy, nation.settings)
    placed = penalties.set_index("ccn")
    assert pd.isna(placed.loc[exempt, "peer_group"])
    assert (placed.loc[exempt, "paf"], placed.loc[exempt, "penalty_usd"]) == (1, 0)
    assert placed["peer_group"].count() == 39
    assert placed.loc[stated, "peer_group"] != other
    # The forecast stands on CMS's medians, where a stated group is meant.
    inputs = forecast_inputs(copy, nation.settings, Reference()).groupby("ccn")["peer_group"].first()
    assert inputs[stated] == other
    assert pd.notna(inputs[exempt])


def test_a_year_with_nothing_to_balance_ends_well_and_says_so(nation: Nation, copy: Warehouse) -> None:
    copy.execute("update payment.annual_payments set annual_base_operating_payments = null")
    measures, penalties = again(copy, nation.settings)
    assert measures["neutrality_modifier"].isna().all() and measures["peer_group_median"].notna().any()
    above = measures["penalty_indicator"]
    assert above.any()
    assert measures.loc[above, "contribution"].isna().all()
    assert (measures.loc[~above, "contribution"] == 0).all()
    assert penalties["payment_reduction"].isna().any()
    said = notes.figures_of_this_run(copy, nation.settings, YEAR)
    assert any(note.startswith("no neutrality modifier balances") for note in said)


def test_published_figures_stay_the_default(nation: Nation, copy: Warehouse) -> None:
    settings = nation.settings.model_copy(update={"national_figures": "published"})
    measures, penalties = again(copy, settings)
    published = Reference().peer_group_medians(YEAR).value
    expected = [published[group, each] for group, each in zip(measures["peer_group"], measures["measure"], strict=True)]
    assert measures["peer_group_median"].tolist() == expected
    assert set(penalties["neutrality_modifier"]) == {Reference().neutrality_modifier(YEAR).value}
    assert notes.figures_of_this_run(copy, settings, YEAR) == []
    assert load_settings().national_figures == "published"


def test_without_a_peer_group_the_reduction_to_date_is_unknown_and_not_none(nation: Nation, copy: Warehouse) -> None:
    """With the published medians too: which of the five a hospital is held against is not known."""
    settings = nation.settings.model_copy(update={"national_figures": "published"})
    ((ccn,),) = copy.rows(
        "select ccn from result.hospital_measures where measure = 'HF' and eligible_discharges >= 25 order by err desc limit 1"
    )
    copy.execute("update payment.dual_proportions set dual_proportion = null where ccn = $ccn", {"ccn": ccn})
    measures, penalties = again(copy, settings)
    own = measures[measures["ccn"] == ccn]
    enough = own["eligible_discharges"] >= 25
    assert own.loc[enough, "contribution"].isna().all() and (own.loc[~enough, "contribution"] == 0).all()
    unknown = penalties.set_index("ccn")["payment_reduction"].isna()
    assert unknown[ccn] and unknown.sum() == 1


def test_own_figures_need_an_own_model() -> None:
    with pytest.raises(UsageError, match=r'national_figures: .*needs reference = "fit"'):
        load_settings(national_figures="fit")
    assert load_settings(reference="fit", national_figures="fit").national_figures == "fit"
