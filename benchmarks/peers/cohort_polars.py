"""Index admissions, first returns and risk factors of the six measures in polars, as a reader of the measures would write them.

    python benchmarks/peers/cohort_polars.py EXTRACT LISTS ANSWER

The question of benchmarks/bench_cohort.py, answered without lineage, without rejects, without reasons: only the rules that can decide
anything in the simulated extract are here. The code lists come expanded (LISTS), each code with what it does. ANSWER gets three
Parquet files: index, returns, factors.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import polars as pl
from polars import selectors

PERIOD = (date(2021, 7, 1), date(2024, 6, 30))  # FY2026
LOOKBACK, FOLLOW_UP, SPACING = 365, 30, 30
THA_TKA_EXCLUDED = {
    "exclude_procedure_partial_hip",
    "exclude_procedure_revision",
    "exclude_procedure_resurfacing",
    "exclude_procedure_removal",
}


def main(extract: Path, lists: Path, answer: Path) -> None:
    def read(name: str) -> pl.LazyFrame:
        return pl.scan_parquet(extract / f"{name}.parquet").with_columns(selectors.categorical().cast(pl.String))

    def known(name: str) -> pl.DataFrame:
        return pl.read_parquet(lists / f"{name}.parquet")

    persons = read("persons").sort("person_id").with_row_index("person").collect()
    stays = (
        read("stays")
        .join(persons.lazy(), on="person_id")
        .join(known("statuses").lazy(), left_on="discharge_status", right_on="code")
        .sort("person", "admit_date", "discharge_date", "stay_id")
        .with_row_index("stay")
        .select(
            "stay",
            "stay_id",
            "person",
            "ccn",
            "payer",
            "death_date",
            pl.col("admit_date").alias("admit"),
            pl.col("discharge_date").alias("discharge"),
            pl.col("meaning").alias("ended"),
            (pl.col("is_short_term_acute") | pl.col("is_cah")).alias("acute"),
            (pl.col("is_short_term_acute") & ~pl.col("is_cah")).alias("index_hospital"),
            (pl.col("sex").is_in(["1", "M"])).alias("male"),
            _age(pl.col("admit_date"), pl.col("birth_date")).alias("age"),
        )
        .collect()
    )
    keys = stays.select("stay", "stay_id").lazy()
    roles, variables, categories = known("code_roles"), known("variable_codes"), known("category_codes")
    planned, exceptions = known("planned_codes"), known("exceptions")
    principal = (
        read("diagnoses").filter(pl.col("sequence") == 1).join(keys, on="stay_id").select("stay", "code").collect()
    )

    def coded(codes: pl.Series, of: pl.LazyFrame) -> pl.DataFrame:
        """The diagnoses of these stays that have one of these codes."""
        return (
            read("diagnoses")
            .filter(pl.col("code").is_in(codes.implode()))
            .join(of, on="stay_id")
            .select(
                "stay",
                "code",
                (pl.col("sequence") == 1).alias("principal"),
                (~pl.col("poa").is_in(["N", "U"])).fill_null(True).alias("present"),
            )
            .collect(engine="streaming")
        )

    procedures = read("procedures").join(keys, on="stay_id").select("stay", "code").collect()

    # Which stays meet which measure.
    diagnosis_roles = roles.filter(pl.col("code_system") == "ICD10CM")
    hits = coded(diagnosis_roles["code"].unique(), keys).join(diagnosis_roles, on="code")
    operations = procedures.join(roles.filter(pl.col("code_system") == "ICD10PCS"), on="code")
    joints = (
        operations.filter(pl.col("role").is_in(["qualifying_procedure_tha", "qualifying_procedure_tka"]))
        .select("stay", "code", "role")
        .unique()
    )
    measure_stays = _measure_stays(hits, operations, joints)

    # Transfers: elsewhere on the day of discharge or the next.
    pairs = _transfers(stays)
    chain_end = _chain_ends(pairs)
    judged = (
        measure_stays.join(stays, on="stay")
        .filter(pl.col("discharge").is_between(*PERIOD))
        .join(chain_end, on="stay", how="left")
        .with_columns(
            pl.when(pl.col("measure") == "CABG")
            .then(pl.coalesce("end", "stay"))
            .otherwise(pl.col("stay"))
            .alias("last")
        )
        .join(
            stays.select(
                pl.col("stay").alias("last"),
                pl.col("discharge").alias("last_discharge"),
                pl.col("ended").alias("last_ended"),
            ),
            on="last",
        )
    )
    eligible = judged.filter(
        pl.col("index_hospital")
        & (pl.col("payer") == "FFS")
        & (pl.col("age") >= 65)
        & ~pl.col("ended").is_in(["died", "left_against_medical_advice", "still_a_patient"])
        & (pl.col("last_ended") != "died")
    )
    eligible = eligible.filter(
        (pl.col("measure") == "CABG") | ~pl.col("stay").is_in(pairs["from"].implode()),
        (pl.col("measure") != "THA_TKA") | ~pl.col("stay").is_in(pairs["to"].implode()),
        (pl.col("measure") != "AMI") | (pl.col("admit") != pl.col("discharge")),
    )
    eligible = _enrolled(eligible, read, persons, stays["discharge"].max())
    earlier = _earlier_stays(judged, stays, pairs)
    eligible = _clinical(eligible, judged, hits, operations, joints, earlier, read, roles, persons)
    index = _spaced(eligible)

    # The first return.
    covid = (
        hits.filter((pl.col("role") == "covid_dx") & (pl.col("principal") | pl.col("present"))).select("stay").unique()
    )
    index = index.join(covid, on="stay", how="anti")
    returns = _returns(index, stays, principal, exceptions, covid)
    returns = _planned(returns, principal, procedures, planned)

    factors = _factors(index, keys, coded, procedures, joints, earlier, read, persons, variables, categories, known)
    names = stays.select("stay", "stay_id")
    index.select("measure", "stay").join(names, on="stay").select("measure", "stay_id").write_parquet(
        answer / "index.parquet"
    )
    returns.join(names, on="stay").select("measure", "stay_id", "days", "planned", "unplanned").write_parquet(
        answer / "returns.parquet"
    )
    factors.join(names, on="stay").select("measure", "stay_id", "variable_key", "value").write_parquet(
        answer / "factors.parquet"
    )


def _age(day: pl.Expr, birth: pl.Expr) -> pl.Expr:
    before = (day.dt.month() < birth.dt.month()) | (
        (day.dt.month() == birth.dt.month()) & (day.dt.day() < birth.dt.day())
    )
    return day.dt.year() - birth.dt.year() - before.cast(pl.Int32)


def _measure_stays(hits: pl.DataFrame, operations: pl.DataFrame, joints: pl.DataFrame) -> pl.DataFrame:
    role = pl.col("role")
    near = hits.filter((role == "excluded_near_miss") & pl.col("principal"))
    by_principal = hits.filter((role == "principal_dx") & pl.col("principal")).join(
        near, on=["measure", "stay"], how="anti"
    )
    copd = hits.filter(pl.col("measure") == "COPD")
    failure = copd.filter((role == "principal_dx_needs_secondary") & pl.col("principal")).join(
        copd.filter((role == "required_secondary_dx") & ~pl.col("principal")), on="stay", how="semi"
    )
    pn = hits.filter(pl.col("measure") == "PN")
    beside = pn.filter(~pl.col("principal") & pl.col("present"))
    sepsis = (
        pn.filter((role == "principal_dx_needs_secondary") & pl.col("principal"))
        .join(beside.filter(role == "required_secondary_dx"), on="stay", how="semi")
        .join(beside.filter(role == "disqualifying_secondary_dx_poa"), on="stay", how="anti")
    )
    bypass = operations.filter((pl.col("measure") == "CABG") & (role == "qualifying_procedure"))
    parts = [frame.select("measure", "stay") for frame in (by_principal, failure, sepsis, bypass)]
    parts.append(joints.select(pl.lit("THA_TKA").alias("measure"), "stay"))
    return pl.concat(parts).unique()


def _transfers(stays: pl.DataFrame) -> pl.DataFrame:
    acute = stays.filter("acute").select("stay", "person", "ccn", "admit", "discharge", "ended")
    found = []
    for days in (0, 1):
        leaving = acute.filter(pl.col("ended") != "died").with_columns(
            pl.col("discharge").dt.offset_by(f"{days}d").alias("day")
        )
        found.append(
            leaving.join(acute, left_on=["person", "day"], right_on=["person", "admit"], suffix="_next")
            .filter((pl.col("ccn") != pl.col("ccn_next")) & (pl.col("stay") < pl.col("stay_next")))
            .select(pl.col("stay").alias("from"), pl.col("stay_next").alias("to"))
        )
    return pl.concat(found).unique()


def _chain(pairs: pl.DataFrame) -> pl.DataFrame:
    chain = pairs.select(pl.col("from").alias("stay"), pl.col("to").alias("later"))
    new = chain
    while new.height:
        new = new.join(pairs, left_on="later", right_on="from").select("stay", pl.col("to").alias("later"))
        new = new.join(chain, on=["stay", "later"], how="anti")
        chain = pl.concat([chain, new]).unique()
    return chain


def _chain_ends(pairs: pl.DataFrame) -> pl.DataFrame:
    return _chain(pairs).group_by("stay").agg(pl.col("later").max().alias("end"))


def _month(day: pl.Expr) -> pl.Expr:
    return day.dt.year() * 12 + day.dt.month()


def _enrolled(eligible: pl.DataFrame, read, persons: pl.DataFrame, last_day: date) -> pl.DataFrame:
    of_interest = persons.lazy().join(eligible.lazy().select("person").unique(), on="person", how="semi")
    months = (
        read("enrollment")
        .filter(pl.col("part_a") & pl.col("ffs"))
        .join(of_interest.select("person", "person_id"), on="person_id")
        .select(
            "person",
            (
                pl.col("month").str.slice(0, 4).cast(pl.Int32) * 12 + pl.col("month").str.slice(5, 2).cast(pl.Int32)
            ).alias("month"),
            "part_b",
        )
        .collect(engine="streaming")
    )
    with_months = eligible.with_columns(
        _month(pl.col("admit")).alias("admitted"), _month(pl.col("last_discharge")).alias("left")
    )
    before = (
        with_months.select("person", "admitted")
        .unique()
        .with_columns(pl.int_ranges(pl.col("admitted") - 12, pl.col("admitted")).alias("month"))
        .explode("month")
        .with_columns(pl.col("month").cast(pl.Int32))
        .join(months.filter("part_b"), on=["person", "month"], how="semi")
        .group_by("person", "admitted")
        .len()
        .filter(pl.col("len") == 12)
    )
    parts = months.select("person", "month")
    found = with_months.join(before, on=["person", "admitted"], how="semi").join(
        parts, left_on=["person", "admitted"], right_on=["person", "month"], how="semi"
    )
    end = pl.col("last_discharge") + pl.duration(days=FOLLOW_UP)
    died = ((pl.col("death_date") - pl.col("last_discharge")).dt.total_days()).is_between(0, FOLLOW_UP).fill_null(False)
    after = parts.with_columns(pl.lit(True).alias("covered"), (pl.col("month") - 1).alias("left"))
    found = found.join(after.select("person", "left", "covered"), on=["person", "left"], how="left")
    return found.filter(pl.when(end > last_day).then(died).otherwise(died | pl.col("covered").fill_null(False)))


def _earlier_stays(judged: pl.DataFrame, stays: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    one = judged.select("stay", "person", "admit").unique()
    near = one.join(stays.select(pl.col("stay").alias("earlier"), "person", "discharge"), on="person").filter(
        (pl.col("earlier") < pl.col("stay"))
        & (pl.col("discharge") <= pl.col("admit"))
        & (pl.col("discharge") >= pl.col("admit") - pl.duration(days=LOOKBACK))
    )
    chain = _chain(pairs).select(pl.col("later").alias("stay"), pl.col("stay").alias("earlier"))
    chain = chain.join(one, on="stay", how="semi")
    return pl.concat([near.select("stay", "earlier"), chain.select("stay", "earlier")]).unique()


def _clinical(eligible, judged, hits, operations, joints, earlier, read, roles, persons) -> pl.DataFrame:
    role = pl.col("role")
    device = operations.filter((pl.col("measure") == "HF") & (role == "exclude_if_procedure_index_or_12m"))
    device_codes = roles.filter((pl.col("measure") == "HF") & (role == "exclude_if_procedure_index_or_12m"))
    elsewhere = (
        read("history_procedures")
        .join(device_codes.lazy().select("code"), on="code", how="semi")
        .join(persons.lazy().select("person", "person_id"), on="person_id")
        .select("person", pl.col("service_date").alias("day"))
        .collect()
    )
    hf = eligible.filter(pl.col("measure") == "HF").select("stay", "person", "admit")
    on_claim = hf.join(elsewhere, on="person").filter(
        (pl.col("day") < pl.col("admit")) & (pl.col("day") >= pl.col("admit") - pl.duration(days=LOOKBACK))
    )
    before = earlier.join(device, left_on="earlier", right_on="stay", how="semi")
    with_device = pl.concat([frame.select("stay") for frame in (device, before, on_claim)]).unique()

    mixed = operations.filter((pl.col("measure") == "CABG") & (role == "exclude_concomitant_procedure")).select("stay")
    bypasses = judged.filter(pl.col("measure") == "CABG").join(mixed, on="stay", how="anti")
    first = bypasses.group_by("person").agg(pl.col("stay").min().alias("first"))

    tha = hits.filter(pl.col("measure") == "THA_TKA")
    bad = pl.concat(
        [
            tha.filter(
                ((role == "exclude_dx_poa_fracture") & (pl.col("principal") | pl.col("present")))
                | (
                    role.is_in(["exclude_principal_dx_mechanical_complication", "exclude_principal_dx_neoplasm"])
                    & pl.col("principal")
                )
            ).select("stay"),
            operations.filter((pl.col("measure") == "THA_TKA") & role.is_in(list(THA_TKA_EXCLUDED))).select("stay"),
            joints.select("stay", "code").unique().group_by("stay").len().filter(pl.col("len") > 2).select("stay"),
        ]
    ).unique()

    def of(measure: str) -> pl.DataFrame:
        return eligible.filter(pl.col("measure") == measure)

    others = eligible.filter(~pl.col("measure").is_in(["HF", "CABG", "THA_TKA"]))
    cabg = (
        of("CABG")
        .join(mixed, on="stay", how="anti")
        .join(first, on="person")
        .filter(pl.col("stay") == pl.col("first"))
        .drop("first")
    )
    found = pl.concat(
        [
            others,
            of("HF").join(with_device, on="stay", how="anti"),
            cabg,
            of("THA_TKA").join(bad, on="stay", how="anti"),
        ]
    )
    covid = hits.filter((role == "covid_dx") & (pl.col("principal") | pl.col("present"))).select("stay")
    return found.join(covid, on="stay", how="anti")


def _spaced(eligible: pl.DataFrame) -> pl.DataFrame:
    """Thirty days between index admissions of a measure: stay by stay, all persons at once."""
    cabg = eligible.filter(pl.col("measure") == "CABG")
    rest = eligible.filter(pl.col("measure") != "CABG").sort("measure", "person", "stay")
    rest = rest.with_columns(pl.int_range(pl.len()).over("measure", "person").alias("position"))
    kept = [rest.filter(pl.col("position") == 0)]
    last = kept[0].select("measure", "person", pl.col("last_discharge").alias("blocked_from"))
    for position in range(1, (rest["position"].max() or 0) + 1):
        now = rest.filter(pl.col("position") == position).join(last, on=["measure", "person"])
        gap = (pl.col("admit") - pl.col("blocked_from")).dt.total_days()
        free = now.filter(~gap.is_between(0, SPACING))
        kept.append(free.drop("blocked_from"))
        last = last.join(
            free.select("measure", "person", pl.col("last_discharge").alias("new")),
            on=["measure", "person"],
            how="left",
        ).select("measure", "person", pl.coalesce("new", "blocked_from").alias("blocked_from"))
    return pl.concat([*(frame.drop("position") for frame in kept), cabg])


def _returns(index, stays, principal, exceptions, covid) -> pl.DataFrame:
    acute = stays.filter("acute").select(
        pl.col("stay").alias("return"),
        "person",
        pl.col("ccn").alias("at"),
        pl.col("admit").alias("came"),
        pl.col("discharge").alias("went"),
    )
    lasts = stays.select(pl.col("stay").alias("last"), pl.col("ccn").alias("last_ccn"))
    found = (
        index.select("measure", "stay", "last", "person", "last_discharge", "last_ended")
        .join(lasts, on="last")
        .join(acute, on="person")
        .with_columns((pl.col("came") - pl.col("last_discharge")).dt.total_days().alias("days"))
        .filter(pl.col("days").is_between(0, FOLLOW_UP) & (pl.col("return") != pl.col("last")))
        .filter(~((pl.col("at") != pl.col("last_ccn")) & (pl.col("days") <= 1)))
    )
    codes = principal.rename({"stay": "return", "code": "return_code"})
    found = found.join(codes, on="return", how="left").join(
        principal.rename({"stay": "last", "code": "last_code"}), on="last", how="left"
    )
    rehabilitation = exceptions.filter(pl.col("exception") == "rehabilitation")["code"]
    psychiatric = exceptions.filter(pl.col("exception") == "psychiatric")["code"]
    code = pl.col("return_code")
    found = found.filter(
        ~(
            (pl.col("at") == pl.col("last_ccn"))
            & (pl.col("days") == 0)
            & (code == pl.col("last_code")).fill_null(False)
        ),
        ~code.is_in(rehabilitation.implode()).fill_null(False),
        ~(
            code.is_in(psychiatric.implode()).fill_null(False)
            & (pl.col("last_ended") == "psychiatric")
            & (pl.col("days") <= 1)
        ),
    )
    first = found.sort("days", "went", "return").unique(["measure", "stay"], keep="first", maintain_order=True)
    return first.with_columns(pl.col("return").is_in(covid["stay"].implode()).alias("covid"))


def _planned(returns, principal, procedures, planned) -> pl.DataFrame:
    by_procedure = (
        procedures.join(returns.select(pl.col("return").alias("stay")).unique(), on="stay", how="semi")
        .join(planned.filter(pl.col("code_system") == "ICD10PCS"), on="code")
        .group_by("stay")
        .agg(
            (pl.col("list") == "always_planned_procedure").any().alias("always"),
            (pl.col("list") == "potentially_planned_procedure").any().alias("potentially"),
        )
        .rename({"stay": "return"})
    )
    by_diagnosis = (
        planned.filter(pl.col("code_system") == "ICD10CM")
        .group_by("code")
        .agg(
            (pl.col("list") == "always_planned_diagnosis").any().alias("always_diagnosis"),
            (pl.col("list") == "acute_diagnosis").any().alias("acute_diagnosis"),
        )
        .rename({"code": "return_code"})
    )
    found = returns.join(by_procedure, on="return", how="left").join(by_diagnosis, on="return_code", how="left")
    flags = [pl.col(name).fill_null(False) for name in ("always", "always_diagnosis", "potentially", "acute_diagnosis")]
    always, diagnosis, potentially, acute = flags
    planned_flag = always | diagnosis | (potentially & ~acute)
    return found.with_columns(planned_flag.alias("planned")).with_columns(
        (~pl.col("planned") & ~pl.col("covid")).alias("unplanned")
    )


def _factors(index, keys, coded, procedures, joints, earlier, read, persons, variables, categories, known):
    one = index.select("measure", "stay", "person", "admit", "age", "male")
    distinct = one.select("stay", "person", "admit").unique()
    # Of the millions of diagnoses only those of index stays and their earlier stays are looked at, and only codes that say something.
    mine = earlier.join(distinct, on="stay", how="semi")
    needed = pl.concat([distinct.select("stay"), mine.select(pl.col("earlier").alias("stay"))]).unique()
    codes = pl.concat([variables["code"], categories["code"]]).unique()
    diagnoses = coded(codes, keys.join(needed.lazy(), on="stay", how="semi"))
    own = diagnoses.join(distinct, on="stay", how="semi")
    of_interest = persons.lazy().join(distinct.lazy(), on="person", how="semi").select("person", "person_id")
    claims = (
        read("history_diagnoses")
        .filter(pl.col("code").is_in(codes.implode()))
        .join(of_interest, on="person_id")
        .select("person", "code", pl.col("service_date").alias("day"))
        .join(distinct.lazy(), on="person")
        .filter((pl.col("day") < pl.col("admit")) & (pl.col("day") >= pl.col("admit") - pl.duration(days=LOOKBACK)))
        .select("stay", "code")
        .collect(engine="streaming")
    )
    history = pl.concat(
        [
            mine.join(diagnoses.select(pl.col("stay").alias("earlier"), "code"), on="earlier").select("stay", "code"),
            claims,
        ]
    ).unique()
    secondary = own.filter(~pl.col("principal")).group_by("stay", "code").agg(pl.col("present").any())
    measures = one.select("measure", "stay")
    found = [
        measures.join(history, on="stay").join(categories, on=["measure", "code"]),
        measures.join(secondary, on="stay")
        .join(categories, on=["measure", "code"])
        .filter(~pl.col("only_complication_of_care") | pl.col("present")),
    ]
    place = pl.col("place")
    diagnosis_codes = variables.filter(pl.col("code_system") == "ICD10CM")
    complications = known("complication_codes")["code"].implode()
    first = own.filter("principal").select("stay", "code").unique()
    specials = [
        measures.join(first, on="stay").join(
            diagnosis_codes.filter(place.is_in(["index_principal", "index_any", "any"])), on=["measure", "code"]
        ),
        measures.join(secondary, on="stay")
        .join(diagnosis_codes, on=["measure", "code"])
        .filter(
            (place == "index_any")
            | ((place == "index_secondary_poa") & pl.col("present"))
            | (place.is_in(["any", "any_secondary"]) & (~pl.col("code").is_in(complications) | pl.col("present")))
        ),
        measures.join(history, on="stay").join(
            diagnosis_codes.filter(place.is_in(["any", "any_secondary", "history"])), on=["measure", "code"]
        ),
    ]
    old = variables.filter(place == "procedure_12m")
    claimed = (
        read("history_procedures")
        .join(old.lazy().select("code").unique(), on="code", how="semi")
        .join(persons.lazy().select("person", "person_id"), on="person_id")
        .select("person", "code", pl.col("service_date").alias("day"))
        .collect()
        .join(distinct, on="person")
        .filter((pl.col("day") < pl.col("admit")) & (pl.col("day") >= pl.col("admit") - pl.duration(days=LOOKBACK)))
        .select("stay", "code")
    )
    operated = pl.concat(
        [
            mine.join(procedures.select(pl.col("stay").alias("earlier"), "code"), on="earlier").select("stay", "code"),
            claimed,
        ]
    ).unique()
    specials.append(measures.join(operated, on="stay").join(old, on=["measure", "code"]))
    flags = pl.concat([frame.select("measure", "stay", "variable_key") for frame in (*found, *specials)]).unique()
    hips = joints.group_by("stay").agg(
        (pl.col("role") == "qualifying_procedure_tha").any().alias("hip"), pl.col("code").n_unique().alias("number")
    )
    tha = measures.filter(pl.col("measure") == "THA_TKA").join(hips, on="stay")

    def valued(frame: pl.DataFrame, name: str, value: pl.Expr) -> pl.DataFrame:
        return frame.select(
            "measure", "stay", pl.lit(name).alias("variable_key"), value.cast(pl.Float64).alias("value")
        )

    rows = [
        flags.with_columns(pl.lit(1.0).alias("value")),
        valued(one, "years_over_65", pl.col("age") - 65),
        valued(one.filter("male"), "male", pl.lit(1.0)),
        valued(tha.filter("hip"), "index_tha", pl.lit(1.0)),
        valued(tha.filter(pl.col("number") == 2), "two_procedures", pl.lit(1.0)),
    ]
    of_measure = known("risk_variables").select("measure", "variable_key")
    return pl.concat(rows).filter(pl.col("value") != 0).join(of_measure, on=["measure", "variable_key"], how="semi")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
