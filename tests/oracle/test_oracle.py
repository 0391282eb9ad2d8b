"""The oracle itself, on histories worked by hand from the rules' words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from runs import facts, reference

from oracle import REASONS_IN_ORDER, Answer, Patient, Rules, judge

HOSPITAL, OTHER, CAH, LONG_TERM = "010001", "010002", "011301", "012001"
HF, HF_2, AMI, PN, COPD = "I5023", "I110", "I214", "J189", "J441"
CABG, VALVE, KNEE, HIP, LVAD = "02100Z9", "02RF0JZ", "0SRC0J9", "0SR9019", "02HA0QZ"
GALLSTONES, CHOLECYSTECTOMY = "K8020", "0FT44ZZ"


def a_stay(start: str, days: int, dx: str = HF, ccn: str = HOSPITAL, **more: Any) -> dict[str, Any]:
    """A stay from `start` for `days`; `beside` are further diagnoses, 'CODE' (present on admission) or 'CODE:N'."""
    return {"start": date.fromisoformat(start), "days": days, "dx": dx, "ccn": ccn, **more}


def a_patient(
    *stays: Mapping[str, Any],
    birth: str = "1940-03-15",
    sex: str | None = "F",
    death: str | None = None,
    uncovered: tuple[str, ...] = (),
    advantage: bool = False,
    claims: tuple[tuple[str, str], ...] = (),
    operations: tuple[tuple[str, str], ...] = (),
) -> Patient:
    """A person, enrolled from 2014 to 2027 but in the `uncovered` months. Stays are called 1, 2, 3 ..."""
    files: dict[str, list[dict[str, Any]]] = {"stays": [], "diagnoses": [], "procedures": []}
    for number, stay in enumerate(stays, start=1):
        stay_id, start = str(number), stay["start"]
        files["stays"].append(
            {
                "stay_id": stay_id,
                "person_id": "p",
                "ccn": stay["ccn"],
                "admit_date": start.isoformat(),
                "discharge_date": (start + timedelta(stay["days"])).isoformat(),
                "discharge_status": stay.get("status", "01"),
                "payer": stay.get("payer"),
            }
        )
        for sequence, each in enumerate((stay["dx"], *stay.get("beside", ())), start=1):
            code, _, poa = each.partition(":")
            row = {"stay_id": stay_id, "sequence": str(sequence), "code": code, "poa": poa or "Y"}
            files["diagnoses"].append(row)
        for sequence, code in enumerate(stay.get("operations", ()), start=1):
            files["procedures"].append({"stay_id": stay_id, "sequence": str(sequence), "code": code})
    months = [f"{year}-{month:02d}" for year in range(2014, 2028) for month in range(1, 13)]
    covered = {"part_a": "true", "part_b": "true", "ffs": str(not advantage).lower(), "ma": str(advantage).lower()}
    return {
        "persons": [{"person_id": "p", "birth_date": birth, "sex": sex, "death_date": death}],
        **files,
        "enrollment": [{"person_id": "p", "month": month, **covered} for month in months if month not in uncovered],
        "history_diagnoses": [{"person_id": "p", "service_date": day, "code": code} for day, code in claims],
        "history_procedures": [{"person_id": "p", "service_date": day, "code": code} for day, code in operations],
    }


def judged(patient: Patient, year: int = 2025, last_day: str = "2024-12-31", **parameters: Any) -> Answer:
    end = date.fromisoformat(last_day)
    return judge(patient, Rules(facts(), year, end, end, changed_parameters=parameters))


def reasons(patient: Patient, measure: str = "HF", stay_id: str = "1", **more: Any) -> tuple[str, ...] | None:
    """All reasons; () for an index admission, None for a stay without a row."""
    row = judged(patient, **more).flow.get((measure, stay_id))
    return None if row is None else row[3]


def outcome(
    patient: Patient, measure: str = "HF", stay_id: str = "1", **more: Any
) -> tuple[str, int, bool, bool] | None:
    """(readmission stay, days, planned, unplanned readmission) of an index admission."""
    answer = judged(patient, **more)
    assert (measure, stay_id) in answer.index
    return answer.readmissions.get((measure, stay_id))


def factors(patient: Patient, measure: str = "HF", stay_id: str = "1", **more: Any) -> dict[str, float]:
    return judged(patient, **more).risk_factors[measure, stay_id]


def test_reasons_are_in_the_order_of_the_contract() -> None:
    listed = [row["reason"] for row in sorted(reference().rows("reason_codes"), key=lambda row: int(row["position"]))]
    assert list(REASONS_IN_ORDER) == listed


ONE = a_stay("2022-05-10", 4)


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        (a_patient(ONE), ()),
        (a_patient(a_stay("2022-05-10", 4, GALLSTONES)), None),
        (a_patient(a_stay("2020-06-20", 10)), None),  # discharged on 30 June 2020, a day before the period
        (a_patient(a_stay("2020-06-20", 11)), ()),
        (a_patient(a_stay("2023-06-20", 10)), ()),
        (a_patient(a_stay("2023-06-20", 11)), None),
        (a_patient(a_stay("2022-05-10", 4, ccn=CAH)), ("not_short_term_acute",)),
        (a_patient(a_stay("2022-05-10", 4, ccn="01S001")), ("not_short_term_acute",)),
        (a_patient(a_stay("2022-05-10", 4, payer="other")), ("payer",)),
        (a_patient(ONE, advantage=True), ("payer", "enrollment_before", "enrollment_after")),
        (a_patient(ONE, birth="1957-05-10"), ()),  # 65 on the day
        (a_patient(ONE, birth="1957-05-11"), ("age",)),
        (a_patient(ONE, birth="1906-05-11"), ()),  # 115
        (a_patient(ONE, birth="1906-05-10"), ("implausible_record",)),
        (a_patient(ONE, sex=None), ("implausible_record",)),
        (a_patient(ONE, death="2022-05-09"), ("implausible_record",)),
        (a_patient(ONE, uncovered=("2021-05",)), ("enrollment_before",)),
        (a_patient(ONE, uncovered=("2021-04",)), ()),
        (a_patient(ONE, uncovered=("2022-06",)), ("enrollment_after",)),
        (a_patient(ONE, uncovered=("2022-06",), death="2022-06-13"), ()),  # day 30
        (a_patient(ONE, uncovered=("2022-06",), death="2022-06-14"), ("enrollment_after",)),
        (a_patient(a_stay("2022-05-10", 4, status="20")), ("died_in_hospital",)),
        (a_patient(a_stay("2022-05-10", 4, status="07")), ("left_against_medical_advice",)),
        (a_patient(a_stay("2022-05-10", 4, status="30")), ("still_a_patient",)),
        (a_patient(a_stay("2022-05-10", 4, beside=("U071",))), ("covid_19",)),
        (a_patient(a_stay("2022-05-10", 4, beside=("U071:N",))), ()),
        (a_patient(a_stay("2022-05-10", 4, operations=(LVAD,))), ("lvad_or_transplant",)),
        (a_patient(ONE, operations=(("2021-05-10", LVAD),)), ("lvad_or_transplant",)),
        (a_patient(ONE, operations=(("2021-05-09", LVAD),)), ()),
        (a_patient(a_stay("2021-05-10", 365)), ()),
        (a_patient(a_stay("2021-05-10", 366)), ("implausible_record",)),
    ],
)
def test_index_admission_of_heart_failure(patient: Patient, expected: tuple[str, ...] | None) -> None:
    assert reasons(patient) == expected


def test_medicare_advantage_counts_from_fy2027() -> None:
    patient = a_patient(a_stay("2025-02-10", 4), advantage=True)
    assert reasons(patient, year=2027, last_day="2025-12-31") == ()
    assert reasons(a_patient(a_stay("2025-02-10", 4, beside=("U071",))), year=2027, last_day="2025-12-31") == ()


def test_follow_up_ends_with_the_extract() -> None:
    assert reasons(a_patient(ONE), last_day="2022-06-13") == ()
    assert reasons(a_patient(ONE), last_day="2022-06-12") == ("follow_up_incomplete",)
    died = a_patient(ONE, death="2022-05-20")
    assert reasons(died, last_day="2022-06-12") == ()
    assert reasons(died, last_day="2022-06-12", death_completes_follow_up=False) == ("follow_up_incomplete",)
    assert reasons(a_patient(ONE, uncovered=("2022-06",)), last_day="2022-06-12") == ("follow_up_incomplete",)


def test_excluded_quarter_is_that_of_the_discharge() -> None:
    rules = Rules(facts(), 2025, date(2024, 12, 31), date(2024, 12, 31))
    patient = a_patient(a_stay("2022-03-30", 2), a_stay("2022-06-30", 0))
    excluded = replace(rules, excluded_quarters={HOSPITAL: frozenset({"2022Q2"})})
    assert [row[3] for row in judge(patient, excluded).flow.values()] == [("excluded_quarter",), ("excluded_quarter",)]
    elsewhere = replace(rules, excluded_quarters={OTHER: frozenset({"2022Q2"})})
    assert judge(patient, elsewhere).flow["HF", "1"][3] == ()


def test_a_stay_within_thirty_days_of_an_index_admission_is_none() -> None:
    """Stay 2 (day 30) is a readmission; stay 3 (31 days after stay 1) is free of stay 1, and stay 2, not an index, blocks nothing."""
    patient = a_patient(ONE, a_stay("2022-06-13", 1, HF_2), a_stay("2022-06-14", 3))
    answer = judged(patient)
    assert answer.flow["HF", "2"][3] == ("prior_30_days",)
    assert answer.flow["HF", "3"][3] == ()
    assert answer.readmissions["HF", "1"] == ("2", 30, False, True)
    assert outcome(a_patient(ONE, a_stay("2022-06-14", 1))) is None
    excluded_first = a_patient(a_stay("2022-05-10", 4, status="07"), a_stay("2022-05-20", 4))
    assert reasons(excluded_first, stay_id="2") == ()
    other_measure = a_patient(ONE, a_stay("2022-05-20", 4, PN))
    assert reasons(other_measure, "PN", "2") == ()


def test_adjacent_stays_for_one_diagnosis_are_one_stay() -> None:
    three = a_patient(ONE, a_stay("2022-05-14", 3), a_stay("2022-05-17", 2, status="07"))
    answer = judged(three)
    assert answer.flow == {
        ("HF", "1"): (HOSPITAL, False, "left_against_medical_advice", ("left_against_medical_advice",))
    }
    assert judged(a_patient(ONE, a_stay("2022-05-14", 3))).index["HF", "1"][2] == date(2022, 5, 17)
    assert outcome(a_patient(ONE, a_stay("2022-05-14", 3, HF_2))) == ("2", 0, False, True)
    assert judged(a_patient(ONE, a_stay("2022-05-14", 3, HF_2)), merge_adjacent_stays="same_measure").readmissions == {}
    assert outcome(a_patient(ONE, a_stay("2022-05-15", 3))) == ("2", 1, False, True)
    between = a_patient(ONE, a_stay("2022-05-14", 0, GALLSTONES), a_stay("2022-05-14", 3))
    assert len([place for place in judged(between).flow if place[0] == "HF"]) == 2


def test_a_transfer_is_another_acute_hospital_on_the_day_or_the_next() -> None:
    for start, ccn, expected in (
        ("2022-05-14", OTHER, ("transferred_out",)),
        ("2022-05-15", OTHER, ("transferred_out",)),
        ("2022-05-15", CAH, ("transferred_out",)),
        ("2022-05-16", OTHER, ()),
        ("2022-05-15", LONG_TERM, ()),
    ):
        assert reasons(a_patient(ONE, a_stay(start, 3, GALLSTONES, ccn))) == expected, (start, ccn)
    chain = a_patient(ONE, a_stay("2022-05-14", 2, ccn=OTHER), a_stay("2022-05-17", 5, ccn="010003"))
    assert [row[3] for row in judged(chain).flow.values()] == [("transferred_out",), ("transferred_out",), ()]
    died = a_patient(a_stay("2022-05-10", 4, status="20"), a_stay("2022-05-14", 3, ccn=OTHER))
    assert reasons(died) == ("implausible_record", "died_in_hospital")


def test_records_that_cannot_be_used() -> None:
    overlap = a_patient(ONE, a_stay("2022-05-12", 5, ccn=OTHER))
    assert set(judged(overlap).flow) == {("HF", "1")}
    assert outcome(overlap) is None
    duplicate = a_patient(ONE, a_stay("2022-05-10", 4, PN))
    assert set(judged(duplicate).flow) == {("HF", "1")}
    assert set(judged(a_patient(a_stay("2022-05-10", -1), ONE)).flow) == {("HF", "2")}
    assert set(judged(a_patient(a_stay("2022-05-10", 4, ccn="0100-1"), ONE)).flow) == {("HF", "2")}


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (a_stay("2022-06-01", 3, GALLSTONES), ("2", 18, False, True)),
        (a_stay("2022-06-01", 3, GALLSTONES, CAH), ("2", 18, False, True)),
        (a_stay("2022-06-01", 3, GALLSTONES, LONG_TERM), None),
        (a_stay("2022-06-01", 3, "Z5189"), None),
        (a_stay("2022-05-14", 3, "F200"), ("2", 0, False, True)),
        (a_stay("2022-06-01", 3, "Z5111"), ("2", 18, True, False)),  # chemotherapy: always planned
        (a_stay("2022-06-01", 3, "K8080", operations=(CHOLECYSTECTOMY,)), ("2", 18, True, False)),
        (
            a_stay("2022-06-01", 3, "K8000", operations=(CHOLECYSTECTOMY,)),
            ("2", 18, False, True),
        ),  # acute cholecystitis
        (a_stay("2022-06-01", 3, "U071"), ("2", 18, False, False)),
        (a_stay("2022-06-01", 3, GALLSTONES, beside=("U071",)), ("2", 18, False, False)),
        (a_stay("2022-06-01", 3, GALLSTONES, beside=("U071:N",)), ("2", 18, False, True)),
    ],
)
def test_the_first_return_decides(second: Mapping[str, Any], expected: tuple[str, int, bool, bool] | None) -> None:
    assert outcome(a_patient(ONE, second)) == expected
    third = a_stay("2022-06-10", 3, AMI)
    assert outcome(a_patient(ONE, second, third)) == (expected or ("3", 27, False, True))


def test_psychiatric_return_right_after_a_psychiatric_discharge_is_none() -> None:
    index = a_stay("2022-05-10", 4, status="65")
    assert outcome(a_patient(index, a_stay("2022-05-15", 3, "F200"))) is None
    assert outcome(a_patient(index, a_stay("2022-05-16", 3, "F200"))) == ("2", 2, False, True)


def test_switches_of_the_return_with_covid() -> None:
    patient = a_patient(ONE, a_stay("2022-05-20", 3, "U071"), a_stay("2022-06-01", 3, AMI))
    assert outcome(patient) == ("2", 6, False, False)
    assert outcome(patient, later_return_after_covid=True) == ("3", 18, False, True)
    assert reasons(patient, covid_return="drop_index") == ("covid_19",)


def test_cohorts_by_principal_diagnosis() -> None:
    def measures(*codes: str, **more: Any) -> set[str]:
        answer = judged(a_patient(a_stay("2022-05-10", 4, codes[0], beside=codes[1:])), **more)
        return {measure for measure, _ in answer.flow}

    assert measures("I2102") == {"AMI"}
    assert measures("I21A1") == measures("I221") == set()
    assert measures("J9601") == set()
    assert measures("J9601", "J441:N") == {"COPD"}
    assert measures("A419", "J189") == {"PN"}
    assert measures("A419", "J189:N") == measures("A419", "J189", "R6521") == set()
    assert measures("A419", "J189", "R6521:N") == {"PN"}
    assert measures("A419", "J1282") == set()
    assert measures("A419", "J1282", optional_pneumonia_secondary=True) == {"PN"}
    assert reasons(a_patient(a_stay("2022-05-10", 0, AMI)), "AMI") == ("same_day_discharge",)
    assert reasons(a_patient(a_stay("2022-05-10", 0))) == ()


def test_bypass_surgery() -> None:
    first = a_stay("2022-05-10", 6, "I25110", operations=(CABG,))
    second = a_stay("2022-09-10", 6, "I25110", OTHER, operations=(CABG,))
    assert reasons(a_patient(first, second), "CABG", "2") == ("later_cabg",)
    not_isolated = a_stay("2022-05-10", 6, "I25110", operations=(CABG, VALVE))
    answer = judged(a_patient(not_isolated, second))
    assert [row[3] for row in answer.flow.values()] == [("not_isolated_cabg",), ()]
    left = a_patient({**first, "status": "07"}, second)
    assert reasons(left, "CABG", "2") == ("later_cabg",)  # first before other exclusions

    sent_on = a_stay("2022-05-17", 10, "I25110", OTHER)
    back = a_stay("2022-06-26", 3, HF, OTHER)  # 30 days after the last discharge of the chain
    answer = judged(a_patient(first, sent_on, back))
    assert answer.index["CABG", "1"] == (HOSPITAL, date(2022, 5, 10), date(2022, 5, 27))
    assert answer.readmissions["CABG", "1"] == ("3", 30, False, True)
    died = a_patient(first, {**sent_on, "status": "20"})
    assert reasons(died, "CABG") == ("died_in_hospital",)


@pytest.mark.parametrize(
    ("stay", "expected"),
    [
        (a_stay("2022-05-10", 3, "M1711", operations=(KNEE,)), ()),
        (a_stay("2022-05-10", 3, "M1711", operations=(KNEE, HIP)), ()),
        (a_stay("2022-05-10", 3, "M1711", operations=(KNEE, HIP, "0SRD0J9")), ("more_than_two_procedures",)),
        (a_stay("2022-05-10", 3, "M1711", operations=(KNEE, KNEE, KNEE)), ()),
        (a_stay("2022-05-10", 3, "S72001A", operations=(HIP,)), ("fracture",)),
        (a_stay("2022-05-10", 3, "M1611", operations=(HIP,), beside=("S72001A",)), ("fracture",)),
        (a_stay("2022-05-10", 3, "M1611", operations=(HIP,), beside=("S72001A:N",)), ()),
        (a_stay("2022-05-10", 3, "M1611", operations=(HIP, "0SRA019")), ("partial_or_revision",)),
        (a_stay("2022-05-10", 3, "M1611", operations=(HIP, "0SPB0JZ")), ("partial_or_revision",)),
        (a_stay("2022-05-10", 3, "T84010A", operations=(HIP,)), ("mechanical_complication",)),
        (a_stay("2022-05-10", 3, "C7951", operations=(HIP,)), ("malignancy",)),
        (a_stay("2022-05-10", 3, "M1611", operations=("0SR90KZ",)), None),
    ],
)
def test_hip_and_knee_replacement(stay: Mapping[str, Any], expected: tuple[str, ...] | None) -> None:
    assert reasons(a_patient(stay), "THA_TKA") == expected


def test_hip_and_knee_transfers() -> None:
    surgery = a_stay("2022-05-15", 3, "M1711", OTHER, operations=(KNEE,))
    assert reasons(a_patient(a_stay("2022-05-10", 4, GALLSTONES), surgery), "THA_TKA", "2") == ("transferred_in",)
    assert reasons(a_patient(surgery, a_stay("2022-05-18", 3, GALLSTONES)), "THA_TKA") == ("transferred_out",)


def test_risk_factors_of_person_and_operation() -> None:
    assert factors(a_patient(ONE, sex="1")) == {"years_over_65": 17.0, "male": 1.0}
    assert factors(a_patient(ONE, birth="1957-05-10")) == {}
    assert "male" not in factors(a_patient(a_stay("2022-05-10", 4, COPD), sex="M"), "COPD")
    both = factors(a_patient(a_stay("2022-05-10", 3, "M1711", operations=(KNEE, HIP))), "THA_TKA")
    assert both == {"years_over_65": 17.0, "index_tha": 1.0, "two_procedures": 1.0}
    anterior = factors(a_patient(a_stay("2022-05-10", 3, "I2102")), "AMI")
    assert anterior == {"years_over_65": 17.0, "anterior_mi": 1.0}


def test_risk_factors_from_the_year_before() -> None:
    diabetes = "E1165"
    for day, expected in (("2022-05-09", True), ("2021-05-10", True), ("2021-05-09", False), ("2022-05-10", False)):
        assert ("diabetes" in factors(a_patient(ONE, claims=((day, diabetes),)))) == expected, day
    earlier = a_stay("2022-03-01", 3, diabetes)
    assert "diabetes" in factors(a_patient(earlier, ONE), stay_id="2")
    same_day = a_stay("2022-05-08", 2, diabetes, LONG_TERM)
    assert "diabetes" in factors(a_patient(same_day, ONE), stay_id="2")
    later = a_stay("2022-08-01", 3, diabetes)
    assert "diabetes" not in factors(a_patient(ONE, later))
    assert "hx_cabg" in factors(a_patient(ONE, operations=(("2022-01-10", CABG),)))
    assert "hx_covid" in factors(a_patient(ONE, claims=(("2022-01-10", "U071"),)))


def test_complications_of_care() -> None:
    """Category 86 (acute infarction) may be a complication; 49 (anemia) may not."""
    with_complication = a_stay("2022-05-10", 4, beside=("I214", "D649:N"))
    not_on_admission = a_stay("2022-05-10", 4, beside=("I214:N", "D649:N"))
    assert "acs" in factors(a_patient(with_complication))
    assert "acs" not in factors(a_patient(not_on_admission))
    assert "acs" in factors(a_patient(not_on_admission, claims=(("2022-01-10", "I214"),)))
    assert "acs" not in factors(a_patient(with_complication), poa_rule="complication_list")
    assert "acs" not in factors(a_patient(a_stay("2017-05-10", 4, beside=("I214",))), year=2020, last_day="2018-12-31")
    assert "anemia" in factors(a_patient(not_on_admission))
    assert "cardioresp_failure" not in factors(a_patient(a_stay("2022-05-10", 4, beside=("R0902:N",))))
    assert "cardioresp_failure" in factors(a_patient(a_stay("2022-05-10", 4, beside=("R0902:Y",))))


def test_the_principal_diagnosis_of_the_index_stay_is_no_risk_factor() -> None:
    assert "chf" not in factors(a_patient(ONE))
    assert "chf" in factors(a_patient(a_stay("2022-01-10", 4, HF), a_stay("2022-05-10", 4)), stay_id="2")


def test_hospital_numbers_change_before_anything_else() -> None:
    rules = Rules(facts(), 2025, date(2024, 12, 31), date(2024, 12, 31), successors={OTHER: HOSPITAL})
    answer = judge(a_patient(ONE, a_stay("2022-05-14", 3, ccn=OTHER)), rules)
    assert answer.index == {("HF", "1"): (HOSPITAL, date(2022, 5, 10), date(2022, 5, 17))}
