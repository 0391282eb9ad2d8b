"""The pictures of a model: what is drawn is what was given, small counts are not drawn, and a browser can read it."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import numpy as np
import pytest

from hrrp.program import Reference
from hrrp.review.model_pictures import MOST_HOSPITALS, coefficient_tables, model_picture, pictures_of_measures
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse


def drawn(markdown: str) -> ET.Element:
    found = re.search(r"base64,([^)]*)\)", markdown)
    assert found
    return ET.fromstring(base64.b64decode(found.group(1)))


def circles(root: ET.Element) -> list[float]:
    return [float(part.attrib["cy"]) for part in root.iter() if part.tag.endswith("circle")]


def tenth(stays: int, observed: float) -> dict[str, float]:
    return {"stays": stays, "predicted": observed, "observed": observed, "low": observed * 0.8, "high": observed * 1.2}


def test_hospitals_are_drawn_in_ascending_order() -> None:
    err = np.array([1.2, 0.8, np.nan, 1.0])
    root = drawn(model_picture("HF <&>", [tenth(100, 0.2), tenth(100, 0.3)], err, err - 0.1, err + 0.1, "all of it"))
    heights = circles(root)
    assert len(heights) == 2 + 3
    assert heights[2:] == sorted(heights[2:], reverse=True)  # up the page is less
    assert "ERR of 3 hospitals, all of it" in "".join(root.itertext())


@pytest.mark.parametrize("observed", [0.05, 0.95])
def test_a_tenth_with_a_small_count_is_not_drawn(observed: float) -> None:
    err = np.ones(1)
    root = drawn(model_picture("HF", [tenth(100, observed), tenth(100, 0.5)], err, err, err, ""))
    assert len(circles(root)) == 1 + 1
    assert "1 with a small count left out" in "".join(root.itertext())
    root = drawn(model_picture("HF", [tenth(100, observed)], err, err, err, ""))
    assert "none is shown" in "".join(root.itertext())


def test_of_a_nation_an_even_choice_is_drawn() -> None:
    err = np.random.default_rng(0).normal(1.0, 0.1, 3000)
    root = drawn(model_picture("HF", [], err, err - 0.1, err + 0.1, ""))
    assert len(circles(root)) == MOST_HOSPITALS
    assert "3,000 hospitals" in "".join(root.itertext())


@pytest.fixture
def warehouse(tmp_path) -> Iterator[Warehouse]:  # type: ignore[no-untyped-def]
    with open_warehouse(tmp_path / "work.duckdb", Settings(out=tmp_path)) as opened:
        opened.load_reference(Reference())
        yield opened


def test_odds_ratios_stand_beside_those_of_cms(warehouse: Warehouse) -> None:
    warehouse.execute(
        """
        create schema if not exists risk;
        create table risk.model_in_force as
        select * replace (value::double as value, standard_error::double as standard_error) from (values
            (2028, 'HF', 'national_intercept', 'intercept', -1.5, 0.1, 'fit', 2028, ''),
            (2028, 'HF', 'male', 'coefficient', 0.1, 0.05, 'fit', 2028, ''),
            (2028, 'HF', 'tau2', 'variance', 0.03, 0.01, 'fit', 2028, ''),
            (2028, 'AMI', 'male', 'coefficient', 0.2, null, 'published', 2025, ''),
            (2029, 'AMI', 'male', 'coefficient', 0.2, null, 'published', 2025, '')
        ) as t(program_year, measure, term, kind, value, standard_error, basis, model_program_year, source)
        """
    )
    published = Reference().published_model("HF", 2028).value.coefficients["male"]
    tables = coefficient_tables(warehouse)
    assert list(tables) == ["coefficients AMI FY2025, CMS's published model", "coefficients HF FY2028"]
    assert f"| Male | 0.1000 | 1.105 | 1.002 to 1.219 | {np.exp(published):.3f} |" in tables["coefficients HF FY2028"]
    assert tables["coefficients AMI FY2025, CMS's published model"].count("Male") == 1


def test_pictures_of_scored_admissions(warehouse: Warehouse) -> None:
    warehouse.execute(
        """
        create schema if not exists risk;
        create schema if not exists result;
        create table risk.linear_predictors as
        select 2028 as program_year, 'HF' as measure, i as stay_key, i % 4 = 0 as outcome, -2 + i / 1000 as linear_predictor
        from range(1000) as t(i);
        create table result.hospital_measures as select * from (values
            (2028, 'HF', 500, 1.1, 0.9, 1.3), (2028, 'HF', 500, 0.9, 0.7, 1.1), (2028, 'HF', 0, null, null, null)
        ) as t(program_year, measure, eligible_discharges, err, err_low, err_high)
        """
    )
    pictures = pictures_of_measures(warehouse)
    assert list(pictures) == ["fit HF FY2028"]
    assert len(circles(drawn(pictures["fit HF FY2028"]))) == 10 + 2
