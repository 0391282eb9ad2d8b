"""The outcome: which return counts, and which was planned."""

from __future__ import annotations

from patient_tables import Rule

CHAPTER = "The outcome"

RULES = (
    Rule(
        "Thirty days",
        "A return counts when admitted 0 to 30 days after the discharge; day 30 counts, day 31 does not. Any acute hospital and any cause.",
        stays="""
            stay person ccn    in         out        dx
            a    ann    360001 2025-03-01 2025-03-04 I50.9
            b    ann    360002 2025-04-03 2025-04-06 E11.9
            c    bea    360001 2025-03-01 2025-03-04 I50.9
            d    bea    360001 2025-04-04 2025-04-06 E11.9
            e    cora   360001 2025-03-01 2025-03-04 I50.9
            f    cora   360001 2025-03-04 2025-03-06 E11.9
            g    dora   360001 2025-03-01 2025-03-04 I50.9
            h    dora   361301 2025-03-20 2025-03-22 E11.9
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      unplanned
            c    HF      index   -      -
            e    HF      index   f      unplanned
            g    HF      index   h      unplanned
        """,
    ),
    Rule(
        "Other kinds of hospital",
        "Stays in long-term, rehabilitation and psychiatric hospitals and in units are no readmissions; the next acute stay is looked at.",
        stays="""
            stay person ccn    in         out        dx
            a    ann    360001 2025-03-01 2025-03-04 I50.9
            b    ann    362001 2025-03-10 2025-03-12 E11.9
            c    ann    364001 2025-03-13 2025-03-14 E11.9
            d    ann    36T001 2025-03-15 2025-03-16 E11.9
            e    bea    360001 2025-03-01 2025-03-04 I50.9
            f    bea    363025 2025-03-10 2025-03-12 E11.9
            g    bea    360002 2025-03-20 2025-03-22 E11.9
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   -      -
            e    HF      index   g      unplanned
        """,
    ),
    Rule(
        "The first candidate decides",
        "Smallest interval first, then the earliest discharge. When the first one was planned, no later stay counts.",
        stays="""
            stay person ccn    in         out        dx     px
            a    ann    360001 2025-03-01 2025-03-04 I50.9  -
            b    ann    360001 2025-03-10 2025-03-12 M17.11 0SRC0J9
            c    ann    360001 2025-03-20 2025-03-22 E11.9  -
            d    bea    360001 2025-03-01 2025-03-04 I50.9  -
            e    bea    360001 2025-03-10 2025-03-14 E11.9  -
            f    bea    360001 2025-03-10 2025-03-12 I10    -
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      planned
            b    THA_TKA index   c      unplanned
            d    HF      index   f      unplanned
        """,
    ),
    Rule(
        "The same stay again",
        "A return on the day of discharge to the same hospital with the same principal diagnosis is a duplicate of the stay, also where "
        "something between the two keeps them from being merged. What has no principal diagnosis is not the same.",
        stays="""
            stay person in         out        dx     px
            a    ann    2025-03-01 2025-03-04 I50.9  -
            b    ann    2025-03-04 2025-03-04 Z51.89 -
            c    ann    2025-03-04 2025-03-08 I50.9  -
            d    bea    2025-03-01 2025-03-04 -      0SRC0J9
            e    bea    2025-03-04 2025-03-06 -      -
            f    cora   2025-03-01 2025-03-01 -      0SRC0J9
        """,
        expect="""
            stay measure verdict       return outcome
            a    HF      index         -      -
            c    HF      prior_30_days -      -
            d    THA_TKA index         e      unplanned
            f    THA_TKA index         -      -
        """,
    ),
    Rule(
        "Rehabilitation",
        "A stay with principal diagnosis Z51.89 is not looked at; the next one is.",
        stays="""
            stay in         out        dx
            a    2025-03-01 2025-03-04 I50.9
            b    2025-03-10 2025-03-12 Z51.89
            c    2025-03-20 2025-03-22 E11.9
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   c      unplanned
        """,
    ),
    Rule(
        "Psychiatric care after discharge to it",
        "An F code as principal diagnosis within 0 to 1 day of a discharge to psychiatric care (status 65 or 93) is not looked at.",
        stays="""
            stay person in         out        dx    status
            a    ann    2025-03-01 2025-03-04 I50.9 65
            b    ann    2025-03-05 2025-03-12 F32.9 01
            c    ann    2025-03-20 2025-03-22 E11.9 01
            d    bea    2025-03-01 2025-03-04 I50.9 65
            e    bea    2025-03-06 2025-03-12 F32.9 01
            f    cora   2025-03-01 2025-03-04 I50.9 01
            g    cora   2025-03-05 2025-03-12 F32.9 01
            h    dora   2025-03-01 2025-03-04 I50.9 93
            i    dora   2025-03-04 2025-03-12 F32.9 01
            j    eve    2025-03-01 2025-03-04 I50.9 65
            k    eve    2025-03-05 2025-03-12 E11.9 01
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   c      unplanned
            d    HF      index   e      unplanned
            f    HF      index   g      unplanned
            h    HF      index   -      -
            j    HF      index   k      unplanned
        """,
    ),
    Rule(
        "One readmission, several index admissions",
        "A stay may be the readmission of index admissions of different measures, and of one that began before another.",
        stays="""
            stay in         out        dx
            a    2025-03-01 2025-03-04 I50.9
            b    2025-03-10 2025-03-12 J44.1
            c    2025-03-30 2025-04-02 E11.9
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      unplanned
            b    COPD    index   c      unplanned
        """,
    ),
    Rule(
        "Returns with COVID-19, FY2023 to FY2026",
        "A first return with COVID-19, principal or secondary present on admission, is not counted, and no later stay counts either.",
        confidence="medium",
        years=(2026,),
        stays="""
            stay person in         out        dx
            a    ann    2024-03-01 2024-03-04 I50.9
            b    ann    2024-03-10 2024-03-12 U07.1
            c    ann    2024-03-20 2024-03-22 E11.9
            d    bea    2024-03-01 2024-03-04 I50.9
            e    bea    2024-03-10 2024-03-12 E11.9,U07.1
            f    cora   2024-03-01 2024-03-04 I50.9
            g    cora   2024-03-10 2024-03-12 E11.9,U07.1/N
            h    dora   2024-03-01 2024-03-04 I50.9
            i    dora   2024-03-10 2024-03-12 U07.1/N
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      not_counted
            d    HF      index   e      not_counted
            f    HF      index   g      unplanned
            h    HF      index   i      not_counted
        """,
    ),
    Rule(
        "Returns with COVID-19 from FY2027",
        "Where the COVID-19 rule has ended such a return counts like any other.",
        stays="""
            stay in         out        dx
            a    2025-03-01 2025-03-04 I50.9
            b    2025-03-10 2025-03-12 U07.1
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      unplanned
        """,
    ),
    Rule(
        "COVID-19 returns that drop the index admission",
        "With covid_return = drop_index the index admission leaves the measure, and does not block a later one.",
        confidence="medium",
        years=(2026,),
        parameters={"covid_return": "drop_index"},
        stays="""
            stay person in         out        dx
            a    ann    2024-03-01 2024-03-04 I50.9
            b    ann    2024-03-10 2024-03-12 U07.1
            c    ann    2024-03-20 2024-03-22 I50.9
            d    bea    2024-03-01 2024-03-04 I50.9
            e    bea    2024-03-10 2024-03-12 U07.1
            f    cora   2024-03-01 2024-03-04 I50.9
            g    cora   2024-03-10 2024-03-12 E11.9
            h    cora   2024-03-20 2024-03-22 U07.1
            i    dora   2024-03-01 2024-03-04 J44.1
            j    dora   2024-03-10 2024-03-12 E11.9
        """,
        expect="""
            stay measure verdict  return outcome
            a    HF      covid_19 -      -
            c    HF      index    -      -
            d    HF      covid_19 -      -
            f    HF      index    g      unplanned
            i    COPD    index    j      unplanned
        """,
    ),
    Rule(
        "A later return after one with COVID-19",
        "With later_return_after_covid the next return without COVID-19 counts.",
        confidence="low",
        years=(2026,),
        parameters={"later_return_after_covid": True},
        stays="""
            stay in         out        dx
            a    2024-03-01 2024-03-04 I50.9
            b    2024-03-10 2024-03-12 U07.1
            c    2024-03-20 2024-03-22 E11.9
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   c      unplanned
        """,
    ),
    Rule(
        "What is not yet known",
        "A stay discharged after the as-of date is not known yet, neither as index admission nor as readmission.",
        stays="""
            stay in         out        dx
            a    2026-06-01 2026-06-04 I50.9
            b    2026-06-20 2026-12-01 E11.9
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   -      -
        """,
    ),
    Rule(
        "Always planned procedures",
        "A return with a procedure of an always-planned category (here a kidney transplant) is planned, even with an acute diagnosis.",
        stays="""
            stay in         out        dx    px
            a    2025-03-01 2025-03-04 I50.9 -
            b    2025-03-10 2025-03-12 I50.9 0DTJ4ZZ,0TY00Z0,02703ZZ
        """,
        expect="""
            stay measure verdict       return outcome
            a    HF      index         b      planned
            b    HF      prior_30_days -      -
        """,
    ),
    Rule(
        "Always planned diagnoses",
        "A return for maintenance chemotherapy (principal diagnosis Z51.11) is planned; as a secondary diagnosis it says nothing.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9
            b    ann    2025-03-10 2025-03-12 Z51.11
            c    bea    2025-03-01 2025-03-04 I50.9
            d    bea    2025-03-10 2025-03-12 E11.9,Z51.11
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      planned
            c    HF      index   d      unplanned
        """,
    ),
    Rule(
        "Potentially planned procedures",
        "A potentially planned procedure (here a knee replacement, or a coronary stent) makes the return planned unless the principal "
        "diagnosis is acute. Chronic heart failure is not acute, unspecified heart failure is.",
        stays="""
            stay person in         out        dx      px
            a    ann    2025-03-01 2025-03-04 I50.9   -
            b    ann    2025-03-10 2025-03-12 I25.10  02703ZZ
            c    bea    2025-03-01 2025-03-04 I50.9   -
            d    bea    2025-03-10 2025-03-12 I21.4   02703ZZ
            e    cora   2025-03-01 2025-03-04 J44.1   -
            f    cora   2025-03-10 2025-03-12 I50.22  02703ZZ
            g    dora   2025-03-01 2025-03-04 J44.1   -
            h    dora   2025-03-10 2025-03-12 I50.9   02703ZZ
            i    eve    2025-03-01 2025-03-04 J44.1   -
            j    eve    2025-03-10 2025-03-12 I25.10  0DTJ4ZZ
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      planned
            c    HF      index   d      unplanned
            d    AMI     index   -      -
            e    COPD    index   f      planned
            f    HF      index   -      -
            g    COPD    index   h      unplanned
            h    HF      index   -      -
            i    COPD    index   j      unplanned
        """,
    ),
    Rule(
        "Single codes of the list",
        "Some procedures are potentially planned by their code and not by their category (here 02570ZZ; its category 49 is, in the "
        "lists of 2022, not on the list as a whole).",
        confidence="medium",
        stays="""
            stay person in         out        dx     px
            a    ann    2025-03-01 2025-03-04 I50.9  -
            b    ann    2025-03-10 2025-03-12 I25.10 02570ZZ
            c    bea    2025-03-01 2025-03-04 I50.9  -
            d    bea    2025-03-10 2025-03-12 I25.10 5A02110
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      planned
            c    HF      index   d      unplanned
        """,
    ),
    Rule(
        "The lists of 2019",
        "With planned_algorithm = strict_2019 the procedure categories added since do not count, and categories 49 and 112 count "
        "whole; single codes count as before.",
        confidence="medium",
        parameters={"planned_algorithm": "strict_2019"},
        stays="""
            stay person in         out        dx     px
            a    ann    2025-03-01 2025-03-04 I50.9  -
            b    ann    2025-03-10 2025-03-12 I25.10 0016070
            c    bea    2025-03-01 2025-03-04 I50.9  -
            d    bea    2025-03-10 2025-03-12 I25.10 5A02110
            e    cora   2025-03-01 2025-03-04 I50.9  -
            f    cora   2025-03-10 2025-03-12 I25.10 02703ZZ
            g    dora   2025-03-01 2025-03-04 I50.9  -
            h    dora   2025-03-10 2025-03-12 I25.10 0QH405Z
            i    eve    2025-03-01 2025-03-04 I50.9  -
            j    eve    2025-03-10 2025-03-12 Z51.11 -
            k    fay    2025-03-01 2025-03-04 J44.1  -
            l    fay    2025-03-10 2025-03-12 I21.4  02703ZZ
            m    gwen   2025-03-01 2025-03-04 I50.9  -
            n    gwen   2025-03-10 2025-03-12 E11.9  0TY00Z0
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      unplanned
            c    HF      index   d      planned
            e    HF      index   f      planned
            g    HF      index   h      planned
            i    HF      index   j      planned
            k    COPD    index   l      unplanned
            l    AMI     index   -      -
            m    HF      index   n      planned
        """,
    ),
    Rule(
        "The lists of 2022",
        "By default the categories added since 2019 count.",
        confidence="medium",
        stays="""
            stay in         out        dx     px
            a    2025-03-01 2025-03-04 I50.9  -
            b    2025-03-10 2025-03-12 I25.10 0016070
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      planned
        """,
    ),
    Rule(
        "Procedure codes without a category",
        "A procedure code that AHRQ CCS does not know leaves its category empty: the return is unplanned unless another line decides.",
        confidence="medium",
        stays="""
            stay person in         out        dx     px
            a    ann    2025-03-01 2025-03-04 I50.9  -
            b    ann    2025-03-10 2025-03-12 I25.10 00160JA
            c    bea    2025-03-01 2025-03-04 I50.9  -
            d    bea    2025-03-10 2025-03-12 I25.10 00160JA,02703ZZ
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      unplanned
            c    HF      index   d      planned
        """,
    ),
    Rule(
        "The gap list for procedure codes",
        "With pcs_gap = unanimous such a code takes the category on which all its sibling codes agree.",
        confidence="low",
        parameters={"pcs_gap": "unanimous"},
        stays="""
            stay in         out        dx     px
            a    2025-03-01 2025-03-04 I50.9  -
            b    2025-03-10 2025-03-12 I25.10 00160JA
        """,
        expect="""
            stay measure verdict return outcome
            a    HF      index   b      planned
        """,
    ),
)
