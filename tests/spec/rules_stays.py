"""Building stays: duplicates, records that are one stay, overlaps, transfers."""

from __future__ import annotations

from patient_tables import Rule

CHAPTER = "Building stays"

RULES = (
    Rule(
        "Exact duplicates",
        "A record of the same person, dates and hospital as an earlier one is a duplicate, whatever its id; the first record is kept.",
        stays="""
            stay person in         out        dx
            b    ann    2025-03-01 2025-03-04 I50.9
            a    ann    2025-03-01 2025-03-04 I50.9
            c    bea    2025-03-01 2025-03-04 I50.9
        """,
        expect="""
            stay measure verdict return
            b    HF      index   -
            c    HF      index   -
        """,
    ),
    Rule(
        "Adjacent records are one stay",
        "Two records of one person at the same hospital with the same principal diagnosis are one stay when the second admission lies on "
        "or inside the first one's last day; more than two chain together. The stay keeps the first id and admission, the last "
        "discharge and status.",
        stays="""
            stay person in         out        dx    status
            a    ann    2025-03-01 2025-03-04 I50.9 30
            b    ann    2025-03-04 2025-03-08 I50.9 30
            c    ann    2025-03-08 2025-03-10 I50.9 01
            d    ann    2025-04-08 2025-04-10 E11.9 01
            e    bea    2025-03-01 2025-03-04 I50.9 01
            f    bea    2025-03-05 2025-03-08 I50.9 01
            g    cora   2025-03-01 2025-03-10 I50.9 01
            h    cora   2025-03-04 2025-03-06 I50.9 07
        """,
        expect="""
            stay measure verdict       return outcome
            a    HF      index         d      unplanned
            e    HF      index         f      unplanned
            f    HF      prior_30_days -      -
            g    HF      index         -      -
        """,
    ),
    Rule(
        "Another diagnosis on the same day is a readmission",
        "A return to the same hospital on the day of discharge with a different principal diagnosis is not part of the stay.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9
            b    ann    2025-03-04 2025-03-08 I11.0
            c    bea    2025-03-01 2025-03-04 I50.9
            d    bea    2025-03-04 2025-03-08 E11.9
        """,
        expect="""
            stay measure verdict       return outcome
            a    HF      index         b      unplanned
            b    HF      prior_30_days -      -
            c    HF      index         d      unplanned
        """,
    ),
    Rule(
        "Merging by condition",
        "With merge_adjacent_stays = same_measure two principal diagnoses of the same condition (heart failure, pneumonia, COPD) "
        "count as equal; the first one stays the principal diagnosis, another one joins the secondary diagnoses. A sepsis admitted with "
        "pneumonia is not a principal diagnosis of pneumonia.",
        confidence="medium",
        parameters={"merge_adjacent_stays": "same_measure"},
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9
            b    ann    2025-03-04 2025-03-08 I11.0
            c    bea    2025-03-01 2025-03-04 I21.4
            d    bea    2025-03-04 2025-03-08 I21.9
            e    cora   2025-03-01 2025-03-04 A41.9,J18.9
            f    cora   2025-03-04 2025-03-08 J18.9
            g    dora   2025-03-01 2025-03-04 I50.9
            h    dora   2025-03-04 2025-03-08 I13.2
        """,
        expect="""
            stay measure verdict       return outcome    factors
            a    HF      index         -      -          -
            c    AMI     index         d      unplanned  -
            d    AMI     prior_30_days -      -          -
            e    PN      index         f      unplanned  -
            f    PN      prior_30_days -      -          -
            g    HF      index         -      -          renal_failure
        """,
    ),
    Rule(
        "Only consecutive records merge",
        "A stay elsewhere, or for another diagnosis, between two records keeps them apart.",
        stays="""
            stay ccn    in         out        dx
            a    360001 2025-03-01 2025-03-04 I50.9
            b    360001 2025-03-04 2025-03-04 E11.9
            c    360001 2025-03-04 2025-03-08 I50.9
        """,
        expect="""
            stay measure verdict       return outcome
            a    HF      index         b      unplanned
            c    HF      prior_30_days -      -
        """,
    ),
    Rule(
        "The union of codes",
        "A stay of several records has the diagnoses and procedures of all of them; a principal diagnosis that only repeats the first one "
        "is not a secondary diagnosis.",
        stays="""
            stay person in         out        dx          px
            a    ann    2025-03-01 2025-03-04 I50.9       -
            b    ann    2025-03-04 2025-03-08 I50.9,N18.6 02HA0QZ
            c    bea    2025-03-01 2025-03-04 I50.9       -
            d    bea    2025-03-04 2025-03-08 I50.9,N18.6 -
            e    cora   2025-03-01 2025-03-04 J18.9       -
            f    cora   2025-03-04 2025-03-08 J18.9,I50.9 -
        """,
        expect="""
            stay measure verdict            factors
            a    HF      lvad_or_transplant -
            c    HF      index              renal_failure,!chf
            e    PN      index              !pneumonia,chf
        """,
    ),
    Rule(
        "Overlapping stays elsewhere",
        "Of two overlapping acute stays at different hospitals the later one, in order of admission, discharge and stay id, cannot be "
        "used. A stay that is not used does not push out a third one.",
        confidence="medium",
        stays="""
            stay person ccn    in         out        dx
            a    ann    360001 2025-03-01 2025-03-10 I50.9
            b    ann    360002 2025-03-05 2025-03-20 I50.9
            c    ann    360003 2025-03-12 2025-03-14 I50.9
            d    bea    360001 2025-03-01 2025-03-10 I50.9
            e    bea    363025 2025-03-05 2025-03-20 Z51.89
        """,
        expect="""
            stay measure verdict       return outcome
            a    HF      index         c      unplanned
            c    HF      prior_30_days -      -
            d    HF      index         -      -
        """,
    ),
    Rule(
        "The last hospital of a transfer chain",
        "An admission at another acute hospital on the day of discharge or the next day is a transfer, whatever the discharge status says. "
        "In the condition measures only the last stay of the chain can be an index admission.",
        stays="""
            stay person ccn    in         out        dx    status
            a    ann    360001 2025-03-01 2025-03-04 I50.9 02
            b    ann    360002 2025-03-04 2025-03-08 I50.9 01
            c    bea    360001 2025-03-01 2025-03-04 I50.9 01
            d    bea    360002 2025-03-05 2025-03-08 I50.9 01
            e    cora   360001 2025-03-01 2025-03-04 I50.9 02
            f    cora   360002 2025-03-06 2025-03-08 I50.9 01
            g    dora   360001 2025-03-01 2025-03-04 I50.9 02
            h    dora   360002 2025-03-05 2025-03-08 I50.9 02
            i    dora   360003 2025-03-08 2025-03-10 I50.9 01
        """,
        expect="""
            stay measure verdict       return outcome
            a    HF      transferred_out -    -
            b    HF      index         -      -
            c    HF      transferred_out -    -
            d    HF      index         -      -
            e    HF      index         f      unplanned
            f    HF      prior_30_days -      -
            g    HF      transferred_out -    -
            h    HF      transferred_out -    -
            i    HF      index         -      -
        """,
    ),
    Rule(
        "The last stay must meet the definition itself",
        "When the last hospital of the chain names another diagnosis, no stay of the chain is an index admission.",
        stays="""
            stay ccn    in         out        dx
            a    360001 2025-03-01 2025-03-04 I50.9
            b    360002 2025-03-04 2025-03-08 E11.9
        """,
        expect="""
            stay measure verdict
            a    HF      transferred_out
        """,
    ),
    Rule(
        "What is no transfer",
        "Critical access hospitals take part in transfers; long-term, rehabilitation and psychiatric hospitals do not; nothing follows a "
        "death.",
        stays="""
            stay person ccn    in         out        dx    status
            a    ann    360001 2025-03-01 2025-03-04 I50.9 66
            b    ann    361301 2025-03-04 2025-03-08 I50.9 01
            c    bea    360001 2025-03-01 2025-03-04 I50.9 62
            d    bea    363025 2025-03-04 2025-03-20 I50.9 01
            e    cora   361301 2025-03-01 2025-03-04 E11.9 02
            f    cora   360001 2025-03-05 2025-03-08 I50.9 01
            g    dora   360001 2025-03-01 2025-03-04 I50.9 20
            h    dora   360002 2025-03-05 2025-03-08 I50.9 01
        """,
        expect="""
            stay measure verdict
            a    HF      transferred_out
            b    HF      not_short_term_acute
            c    HF      index
            d    HF      not_short_term_acute,prior_30_days
            f    HF      index
            g    HF      implausible_record,died_in_hospital
            h    HF      index
        """,
    ),
    Rule(
        "Two hospitals on one day",
        "Pairs only go forward, in order of admission, discharge and stay id: of two stays that begin and end on one day the first is "
        "transferred out.",
        confidence="medium",
        stays="""
            stay ccn    in         out        dx
            a    360001 2025-03-01 2025-03-01 I50.9
            b    360002 2025-03-01 2025-03-01 I50.9
        """,
        expect="""
            stay measure verdict         return
            a    HF      transferred_out -
            b    HF      index           -
        """,
    ),
    Rule(
        "A transfer need not be the next record",
        "A transfer pair is two stays of the person, wherever other stays lie in the order: here a short stay inside the first one.",
        confidence="medium",
        stays="""
            stay ccn    in         out        dx
            a    360001 2025-03-01 2025-03-10 I50.9
            b    360001 2025-03-03 2025-03-04 E11.9
            c    360002 2025-03-11 2025-03-14 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      transferred_out
            c    HF      index
        """,
    ),
    Rule(
        "Two stays at the receiving hospital",
        "The date rule decides for any two stays: here both stays at the second hospital begin within a day of the discharge from the "
        "first one, so the chain ends with the later of them.",
        confidence="medium",
        stays="""
            stay ccn    in         out        dx     px
            a    360001 2025-03-01 2025-03-08 I25.10 021009W
            b    360002 2025-03-08 2025-03-09 I25.10 -
            c    360002 2025-03-09 2025-03-15 M16.11 0SR90J9
        """,
        expect="""
            stay measure verdict return outcome
            a    CABG    index          -      -
            c    THA_TKA transferred_in -      -
        """,
    ),
    Rule(
        "Bypass: the first hospital keeps the case",
        "CABG belongs to the hospital of the first isolated bypass, even when the patient is transferred out; the 30 days begin with the "
        "final discharge of the chain, and a death there counts as died in hospital.",
        confidence="medium",
        stays="""
            stay person ccn    in         out        dx     px      status
            a    ann    360001 2025-03-01 2025-03-08 I25.10 021009W 02
            b    ann    360002 2025-03-08 2025-03-20 I25.10 -       01
            c    ann    360001 2025-04-15 2025-04-18 I50.9  -       01
            d    bea    360001 2025-03-01 2025-03-08 I25.10 021009W 02
            e    bea    360002 2025-03-08 2025-03-20 I25.10 -       20
            f    cora   360001 2025-03-01 2025-03-08 I25.10 -       02
            g    cora   360002 2025-03-08 2025-03-20 I25.10 021009W 01
            h    dora   360001 2025-03-01 2025-03-08 I25.10 021009W 02
            i    dora   360002 2025-03-08 2025-03-20 I25.10 -       02
            j    dora   360003 2025-03-21 2025-04-10 I25.10 -       01
            k    dora   360001 2025-05-05 2025-05-08 E11.9  -       01
        """,
        expect="""
            stay measure verdict          return outcome
            a    CABG    index            c      unplanned
            c    HF      index            -      -
            d    CABG    died_in_hospital -      -
            g    CABG    index            -      -
            h    CABG    index            k      unplanned
        """,
    ),
    Rule(
        "Hips and knees: transferred out or in",
        "A joint replacement stay that was transferred out, or in, is no index admission. Who comes from a rehabilitation hospital is "
        "not transferred in.",
        confidence="medium",
        stays="""
            stay person ccn    in         out        dx     px
            a    ann    360001 2025-03-01 2025-03-04 M17.11 0SRC0J9
            b    ann    360002 2025-03-04 2025-03-08 Z47.1  -
            c    bea    360001 2025-03-01 2025-03-04 E11.9  -
            d    bea    360002 2025-03-05 2025-03-08 M17.11 0SRC0J9
            e    cora   360001 2025-03-01 2025-03-04 M17.11 0SRC0J9
            f    dora   363025 2025-02-20 2025-03-01 Z51.89 -
            g    dora   360001 2025-03-01 2025-03-04 M17.11 0SRC0J9
        """,
        expect="""
            stay measure verdict
            a    THA_TKA transferred_out
            d    THA_TKA transferred_in
            e    THA_TKA index
            g    THA_TKA index
        """,
    ),
)
