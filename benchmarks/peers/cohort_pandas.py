"""Index admissions, first returns and risk factors of the six measures in pandas, as a reader of the measures would write them.

    python benchmarks/peers/cohort_pandas.py EXTRACT LISTS ANSWER

The question of benchmarks/bench_cohort.py, answered without lineage, without rejects, without reasons: only the rules that can decide
anything in the simulated extract are here. The code lists come expanded (LISTS), each code with what it does. ANSWER gets three
Parquet files: index, returns, factors.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

PERIOD = (pd.Timestamp("2021-07-01"), pd.Timestamp("2024-06-30"))  # FY2026
LOOKBACK, FOLLOW_UP, SPACING = 365, 30, 30
NOT_ALIVE_WITH_ADVICE = ["died", "left_against_medical_advice", "still_a_patient"]
THA_TKA_EXCLUDED = [
    "exclude_procedure_partial_hip",
    "exclude_procedure_revision",
    "exclude_procedure_resurfacing",
    "exclude_procedure_removal",
]


def main(extract: Path, lists: Path, answer: Path) -> None:
    def read(name: str, columns: list[str], only: list | None = None) -> pd.DataFrame:
        """Columns of a file: a dictionary's texts as texts (laying the dictionaries together takes longer), dates as numpy's."""
        file = extract / f"{name}.parquet"
        fields = ds.dataset(file).schema
        plain = pa.schema(
            [
                field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
                for field in fields
            ]
        )
        rows = None if only is None else pq.filters_to_expression(only)
        return ds.dataset(file, schema=plain).to_table(columns=columns, filter=rows).to_pandas(date_as_object=False)

    def known(name: str) -> pd.DataFrame:
        return pd.read_parquet(lists / f"{name}.parquet")

    persons = read("persons", ["person_id", "birth_date", "sex", "death_date"])
    persons = persons.sort_values("person_id").assign(person=np.arange(len(persons)))
    stays = _stays(read, persons, known("statuses"))
    person_keys = persons[["person_id", "person"]]
    roles, variables, categories = known("code_roles"), known("variable_codes"), known("category_codes")

    first = read("diagnoses", ["stay_id", "code"], [("sequence", "==", 1)])
    principal = first.merge(stays[["stay", "stay_id"]], on="stay_id")[["stay", "code"]]

    def coded(codes: pd.Series, of: pd.DataFrame) -> pd.DataFrame:
        """The diagnoses of these stays that have one of these codes."""
        columns = ["stay_id", "sequence", "code", "poa"]
        found = read("diagnoses", columns, [("code", "in", codes.unique().tolist())]).merge(of, on="stay_id")
        return pd.DataFrame(
            {
                "stay": found["stay"],
                "code": found["code"],
                "principal": found["sequence"] == 1,
                "present": ~found["poa"].isin(["N", "U"]),
            }
        )

    procedures = read("procedures", ["stay_id", "code"]).merge(stays[["stay", "stay_id"]], on="stay_id")[
        ["stay", "code"]
    ]

    diagnosis_roles = roles[roles["code_system"] == "ICD10CM"]
    hits = coded(diagnosis_roles["code"], stays[["stay", "stay_id"]]).merge(diagnosis_roles, on="code")
    operations = procedures.merge(roles[roles["code_system"] == "ICD10PCS"], on="code")
    qualifying = operations["role"].isin(["qualifying_procedure_tha", "qualifying_procedure_tka"])
    joints = operations.loc[qualifying, ["stay", "code", "role"]].drop_duplicates()
    measure_stays = _measure_stays(hits, operations, joints)

    pairs = _transfers(stays)
    chain = _chain(pairs)
    ends = chain.groupby("stay", as_index=False)["later"].max()
    judged = measure_stays.merge(stays, on="stay")
    judged = judged[judged["discharge"].between(*PERIOD)].merge(ends, on="stay", how="left")
    is_cabg = judged["measure"] == "CABG"
    judged["last"] = judged["later"].where(is_cabg).fillna(judged["stay"]).astype("int64")
    ending = stays[["stay", "discharge", "ended"]].set_axis(["last", "last_discharge", "last_ended"], axis=1)
    judged = judged.drop(columns="later").merge(ending, on="last")
    measure = judged["measure"]
    eligible = judged[
        judged["index_hospital"]
        & (judged["payer"] == "FFS")
        & (judged["age"] >= 65)
        & ~judged["ended"].isin(NOT_ALIVE_WITH_ADVICE)
        & (judged["last_ended"] != "died")
        & ((measure == "CABG") | ~judged["stay"].isin(pairs["from"]))
        & ((measure != "THA_TKA") | ~judged["stay"].isin(pairs["to"]))
        & ((measure != "AMI") | (judged["admit"] != judged["discharge"]))
    ]
    eligible = _enrolled(eligible, read, person_keys, stays["discharge"].max())
    earlier = _earlier_stays(judged, stays, chain)
    covid = hits.loc[(hits["role"] == "covid_dx") & (hits["principal"] | hits["present"]), "stay"].unique()
    eligible = _clinical(eligible, judged, hits, operations, joints, earlier, read, roles, person_keys)
    index = _spaced(eligible[~eligible["stay"].isin(covid)])

    returns = _returns(index, stays, principal, known("exceptions"))
    returns = _planned(returns, procedures, known("planned_codes"))
    returns["unplanned"] = ~returns["planned"] & ~returns["return"].isin(covid)
    names = stays[["stay", "stay_id"]]
    factors = _factors(
        index, names, coded, procedures, joints, earlier, read, person_keys, variables, categories, known
    )
    index.merge(names, on="stay", suffixes=("_of", ""))[["measure", "stay_id"]].to_parquet(answer / "index.parquet")
    returns.merge(names, on="stay")[["measure", "stay_id", "days", "planned", "unplanned"]].to_parquet(
        answer / "returns.parquet"
    )
    factors.merge(names, on="stay")[["measure", "stay_id", "variable_key", "value"]].to_parquet(
        answer / "factors.parquet"
    )


def _stays(read, persons: pd.DataFrame, statuses: pd.DataFrame) -> pd.DataFrame:
    columns = ["stay_id", "person_id", "ccn", "payer", "admit_date", "discharge_date", "discharge_status"]
    stays = read("stays", [*columns, "is_short_term_acute", "is_cah"])
    stays = stays.merge(persons, on="person_id").merge(statuses, left_on="discharge_status", right_on="code")
    stays = stays.sort_values(["person", "admit_date", "discharge_date", "stay_id"], ignore_index=True)
    day, birth = stays["admit_date"].dt, stays["birth_date"].dt
    before = (day.month < birth.month) | ((day.month == birth.month) & (day.day < birth.day))
    acute, critical = stays["is_short_term_acute"].astype(bool), stays["is_cah"].astype(bool)
    return pd.DataFrame(
        {
            "stay": np.arange(len(stays)),
            "stay_id": stays["stay_id"],
            "person": stays["person"],
            "ccn": stays["ccn"],
            "payer": stays["payer"],
            "admit": stays["admit_date"],
            "discharge": stays["discharge_date"],
            "death": stays["death_date"],
            "ended": stays["meaning"],
            "acute": acute | critical,
            "index_hospital": acute & ~critical,
            "male": stays["sex"].isin(["1", "M"]),
            "age": day.year - birth.year - before.astype(int),
        }
    )


def _measure_stays(hits: pd.DataFrame, operations: pd.DataFrame, joints: pd.DataFrame) -> pd.DataFrame:
    def of(measure: str, role: str, frame: pd.DataFrame = hits) -> pd.DataFrame:
        return frame[(frame["measure"] == measure) & (frame["role"] == role)]

    near = hits.loc[(hits["role"] == "excluded_near_miss") & hits["principal"], ["measure", "stay"]].drop_duplicates()
    own = hits.loc[(hits["role"] == "principal_dx") & hits["principal"], ["measure", "stay"]]
    own = own.merge(near, on=["measure", "stay"], how="left", indicator=True)
    own = own.loc[own["_merge"] == "left_only", ["measure", "stay"]]
    failure = of("COPD", "principal_dx_needs_secondary")
    beside = of("COPD", "required_secondary_dx")
    failure = failure[failure["principal"] & failure["stay"].isin(beside.loc[~beside["principal"], "stay"])]
    pneumonia, severe = of("PN", "required_secondary_dx"), of("PN", "disqualifying_secondary_dx_poa")
    sepsis = of("PN", "principal_dx_needs_secondary")
    sepsis = sepsis[
        sepsis["principal"]
        & sepsis["stay"].isin(pneumonia.loc[~pneumonia["principal"] & pneumonia["present"], "stay"])
        & ~sepsis["stay"].isin(severe.loc[~severe["principal"] & severe["present"], "stay"])
    ]
    bypass = of("CABG", "qualifying_procedure", operations)
    replacements = joints[["stay"]].assign(measure="THA_TKA")
    return pd.concat(
        [frame[["measure", "stay"]] for frame in (own, failure, sepsis, bypass, replacements)]
    ).drop_duplicates()


def _transfers(stays: pd.DataFrame) -> pd.DataFrame:
    acute = stays.loc[stays["acute"], ["stay", "person", "ccn", "admit", "discharge", "ended"]]
    leaving = acute[acute["ended"] != "died"]
    found = []
    for days in (0, 1):
        there = leaving.assign(day=leaving["discharge"] + pd.Timedelta(days=days))
        both = there.merge(acute, left_on=["person", "day"], right_on=["person", "admit"], suffixes=("", "_next"))
        both = both[(both["ccn"] != both["ccn_next"]) & (both["stay"] < both["stay_next"])]
        found.append(both[["stay", "stay_next"]].set_axis(["from", "to"], axis=1))
    return pd.concat(found).drop_duplicates()


def _chain(pairs: pd.DataFrame) -> pd.DataFrame:
    chain = pairs.set_axis(["stay", "later"], axis=1)
    while True:
        more = chain.merge(pairs, left_on="later", right_on="from")[["stay", "to"]].set_axis(["stay", "later"], axis=1)
        longer = pd.concat([chain, more]).drop_duplicates()
        if len(longer) == len(chain):
            return chain
        chain = longer


def _month(day: pd.Series) -> pd.Series:
    return day.dt.year * 12 + day.dt.month


def _enrolled(eligible: pd.DataFrame, read, person_keys: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    of_interest = person_keys[person_keys["person"].isin(eligible["person"])]
    covered = [("part_a", "==", True), ("ffs", "==", True), ("person_id", "in", of_interest["person_id"].tolist())]
    months = read("enrollment", ["person_id", "month", "part_b"], covered).merge(of_interest, on="person_id")
    number = months["month"].str.slice(0, 4).astype(int) * 12 + months["month"].str.slice(5, 7).astype(int)
    # Person and month in one integer: an equality of integers is what pandas does fastest.
    covered = (months["person"] * 100_000 + number).to_numpy()
    covered_b = covered[months["part_b"].to_numpy(dtype=bool)]
    person = eligible["person"] * 100_000
    admitted, left = _month(eligible["admit"]), _month(eligible["last_discharge"])
    before = np.ones(len(eligible), dtype=bool)
    for back in range(1, 13):
        before &= (person + admitted - back).isin(covered_b).to_numpy()
    at_admission = (person + admitted).isin(covered).to_numpy()
    after = (person + left + 1).isin(covered)
    died = (eligible["death"] - eligible["last_discharge"]).dt.days.between(0, FOLLOW_UP)
    beyond = eligible["last_discharge"] + pd.Timedelta(days=FOLLOW_UP) > last_day
    return eligible[before & at_admission & (died | (~beyond & after))]


def _within_a_year(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame["day"] < frame["admit"]) & (frame["day"] >= frame["admit"] - pd.Timedelta(days=LOOKBACK))]


def _earlier_stays(judged: pd.DataFrame, stays: pd.DataFrame, chain: pd.DataFrame) -> pd.DataFrame:
    one = judged[["stay", "person", "admit"]].drop_duplicates()
    others = stays[["stay", "person", "discharge"]].set_axis(["earlier", "person", "discharge"], axis=1)
    near = one.merge(others, on="person")
    near = near[
        (near["earlier"] < near["stay"])
        & (near["discharge"] <= near["admit"])
        & (near["discharge"] >= near["admit"] - pd.Timedelta(days=LOOKBACK))
    ]
    linked = chain.set_axis(["earlier", "stay"], axis=1)
    linked = linked[linked["stay"].isin(one["stay"])]
    return pd.concat([near[["stay", "earlier"]], linked[["stay", "earlier"]]]).drop_duplicates()


def _clinical(eligible, judged, hits, operations, joints, earlier, read, roles, person_keys) -> pd.DataFrame:
    device_role = "exclude_if_procedure_index_or_12m"
    device_codes = roles.loc[(roles["measure"] == "HF") & (roles["role"] == device_role), "code"]
    device = operations.loc[(operations["measure"] == "HF") & (operations["role"] == device_role), "stay"]
    claims = read("history_procedures", ["person_id", "service_date", "code"])
    claims = claims[claims["code"].isin(device_codes)].merge(person_keys, on="person_id")
    claims = claims.rename(columns={"service_date": "day"})[["person", "day"]]
    hf = eligible.loc[eligible["measure"] == "HF", ["stay", "person", "admit"]]
    on_claim = _within_a_year(hf.merge(claims, on="person"))["stay"]
    with_device = pd.concat([device, earlier.loc[earlier["earlier"].isin(device), "stay"], on_claim]).unique()

    mixed = operations.loc[
        (operations["measure"] == "CABG") & (operations["role"] == "exclude_concomitant_procedure"), "stay"
    ]
    bypasses = judged[(judged["measure"] == "CABG") & ~judged["stay"].isin(mixed)]
    first = bypasses.groupby("person")["stay"].min()

    tha = hits[hits["measure"] == "THA_TKA"]
    fracture = (tha["role"] == "exclude_dx_poa_fracture") & (tha["principal"] | tha["present"])
    other = tha["role"].isin(["exclude_principal_dx_mechanical_complication", "exclude_principal_dx_neoplasm"])
    other &= tha["principal"]
    not_primary = operations.loc[
        (operations["measure"] == "THA_TKA") & operations["role"].isin(THA_TKA_EXCLUDED), "stay"
    ]
    number = joints[["stay", "code"]].drop_duplicates().groupby("stay").size()
    bad = pd.concat([tha.loc[fracture | other, "stay"], not_primary, number[number > 2].index.to_series()]).unique()

    measure, stay = eligible["measure"], eligible["stay"]
    is_first = stay == eligible["person"].map(first)
    return eligible[
        ~((measure == "HF") & stay.isin(with_device))
        & ((measure != "CABG") | (~stay.isin(mixed) & is_first))
        & ~((measure == "THA_TKA") & stay.isin(bad))
    ]


def _spaced(eligible: pd.DataFrame) -> pd.DataFrame:
    """Thirty days between index admissions of a measure: stay by stay, all persons at once."""
    rest = eligible[eligible["measure"] != "CABG"].sort_values(["measure", "person", "stay"])
    rest = rest.assign(position=rest.groupby(["measure", "person"]).cumcount())
    kept = [rest[rest["position"] == 0]]
    last = kept[0].set_index(["measure", "person"])["last_discharge"]
    for position in range(1, int(rest["position"].max()) + 1):
        now = rest[rest["position"] == position]
        blocked_from = last.reindex(pd.MultiIndex.from_frame(now[["measure", "person"]])).to_numpy()
        gap = (now["admit"] - blocked_from).dt.days
        free = now[~gap.between(0, SPACING)]
        kept.append(free)
        last.loc[pd.MultiIndex.from_frame(free[["measure", "person"]])] = free["last_discharge"].to_numpy()
    return pd.concat([*kept, eligible[eligible["measure"] == "CABG"]])


def _returns(index, stays, principal, exceptions) -> pd.DataFrame:
    acute = stays.loc[stays["acute"], ["stay", "person", "ccn", "admit", "discharge"]]
    acute = acute.set_axis(["return", "person", "at", "came", "went"], axis=1)
    lasts = stays[["stay", "ccn"]].set_axis(["last", "last_ccn"], axis=1)
    found = index[["measure", "stay", "last", "person", "last_discharge", "last_ended"]].merge(lasts, on="last")
    found = found.merge(acute, on="person")
    found["days"] = (found["came"] - found["last_discharge"]).dt.days
    found = found[found["days"].between(0, FOLLOW_UP) & (found["return"] != found["last"])]
    elsewhere = found["at"] != found["last_ccn"]
    found = found[~(elsewhere & (found["days"] <= 1))]
    codes = principal.set_index("stay")["code"]
    found["return_code"], last_code = found["return"].map(codes), found["last"].map(codes)
    rehabilitation = exceptions.loc[exceptions["exception"] == "rehabilitation", "code"]
    psychiatric = exceptions.loc[exceptions["exception"] == "psychiatric", "code"]
    same = (found["at"] == found["last_ccn"]) & (found["days"] == 0) & (found["return_code"] == last_code)
    to_psychiatric = (
        found["return_code"].isin(psychiatric) & (found["last_ended"] == "psychiatric") & (found["days"] <= 1)
    )
    found = found[~same & ~found["return_code"].isin(rehabilitation) & ~to_psychiatric]
    return found.sort_values(["days", "went", "return"]).drop_duplicates(["measure", "stay"]).copy()


def _planned(returns: pd.DataFrame, procedures: pd.DataFrame, planned: pd.DataFrame) -> pd.DataFrame:
    def codes(name: str) -> pd.Series:
        return planned.loc[planned["list"] == name, "code"]

    done = procedures[procedures["stay"].isin(returns["return"])]
    always = done.loc[done["code"].isin(codes("always_planned_procedure")), "stay"]
    potentially = done.loc[done["code"].isin(codes("potentially_planned_procedure")), "stay"]
    code = returns["return_code"]
    returns["planned"] = (
        returns["return"].isin(always)
        | code.isin(codes("always_planned_diagnosis"))
        | (returns["return"].isin(potentially) & ~code.isin(codes("acute_diagnosis")))
    )
    return returns


def _factors(index, names, coded, procedures, joints, earlier, read, person_keys, variables, categories, known):
    one = index[["measure", "stay", "person", "admit", "age", "male"]]
    distinct = one[["stay", "person", "admit"]].drop_duplicates()
    measures = one[["measure", "stay"]]
    mine = earlier[earlier["stay"].isin(distinct["stay"])]
    # Of the millions of diagnoses only those of index stays and their earlier stays are looked at, and only codes that say something.
    wanted = pd.concat([variables["code"], categories["code"]])
    needed = pd.concat([distinct["stay"], mine["earlier"]])
    diagnoses = coded(wanted, names[names["stay"].isin(needed)])
    own = diagnoses[diagnoses["stay"].isin(distinct["stay"])]
    columns = ["person_id", "service_date", "code"]
    claims = read("history_diagnoses", columns, [("code", "in", wanted.unique().tolist())])
    of_interest = person_keys[person_keys["person"].isin(distinct["person"])]
    claims = claims.merge(of_interest, on="person_id").rename(columns={"service_date": "day"})
    claims = _within_a_year(claims[["person", "code", "day"]].merge(distinct, on="person"))[["stay", "code"]]
    before = diagnoses[["stay", "code"]].set_axis(["earlier", "code"], axis=1)
    history = pd.concat([mine.merge(before, on="earlier")[["stay", "code"]], claims]).drop_duplicates()
    secondary = own[~own["principal"]].groupby(["stay", "code"], as_index=False)["present"].max()
    by_measure = ["measure", "code"]
    in_history = measures.merge(history, on="stay")
    on_stay = measures.merge(secondary, on="stay")
    now = on_stay.merge(categories, on=by_measure)
    found = [
        in_history.merge(categories, on=by_measure),
        now[~now["only_complication_of_care"].astype(bool) | now["present"]],
    ]
    codes = variables[variables["code_system"] == "ICD10CM"]
    first = measures.merge(own.loc[own["principal"], ["stay", "code"]].drop_duplicates(), on="stay")
    found.append(first.merge(codes[codes["place"].isin(["index_principal", "index_any", "any"])], on=by_measure))
    found.append(in_history.merge(codes[codes["place"].isin(["any", "any_secondary", "history"])], on=by_measure))
    now = on_stay.merge(codes, on=by_measure)
    complication = now["code"].isin(known("complication_codes")["code"])
    found.append(
        now[
            (now["place"] == "index_any")
            | ((now["place"] == "index_secondary_poa") & now["present"])
            | (now["place"].isin(["any", "any_secondary"]) & (~complication | now["present"]))
        ]
    )
    old = variables[variables["place"] == "procedure_12m"]
    claims = read("history_procedures", ["person_id", "service_date", "code"])
    claims = claims[claims["code"].isin(old["code"])].merge(person_keys, on="person_id")
    claims = claims.rename(columns={"service_date": "day"})[["person", "code", "day"]]
    claims = _within_a_year(claims.merge(distinct, on="person"))[["stay", "code"]]
    done = procedures.set_axis(["earlier", "code"], axis=1)
    operated = pd.concat([mine.merge(done, on="earlier")[["stay", "code"]], claims]).drop_duplicates()
    found.append(measures.merge(operated, on="stay").merge(old, on=by_measure))
    flags = pd.concat([frame[["measure", "stay", "variable_key"]] for frame in found]).drop_duplicates()

    hips = joints.loc[joints["role"] == "qualifying_procedure_tha", "stay"]
    number = joints.groupby("stay")["code"].nunique()
    tha = one[one["measure"] == "THA_TKA"]
    rows = [
        flags.assign(value=1.0),
        one[["measure", "stay"]].assign(variable_key="years_over_65", value=(one["age"] - 65).astype(float)),
        one.loc[one["male"], ["measure", "stay"]].assign(variable_key="male", value=1.0),
        tha.loc[tha["stay"].isin(hips), ["measure", "stay"]].assign(variable_key="index_tha", value=1.0),
        tha.loc[tha["stay"].map(number) == 2, ["measure", "stay"]].assign(variable_key="two_procedures", value=1.0),
    ]
    values = pd.concat(rows)
    return values[values["value"] != 0].merge(known("risk_variables"), on=["measure", "variable_key"])


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
