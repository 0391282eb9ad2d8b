"""Index admissions: the rules that hold for every measure."""

from __future__ import annotations

from datetime import date

from patient_tables import Rule

CHAPTER = "Index admissions: rules of every measure"

RULES = (
    Rule(
        "A stay of the measure is an index admission",
        "A stay that meets the clinical definition is judged once for every program year whose applicable period holds its "
        "discharge date, both ends included. FY2028 counts discharges from 1 July 2024 to 30 June 2026.",
        stays="""
            stay person in         out        dx
            a    ann    2024-06-20 2024-06-30 I50.9
            b    bea    2024-06-20 2024-07-01 I50.9
            c    cora   2026-06-20 2026-06-30 I50.9
            d    dora   2026-06-20 2026-07-01 I50.9
            e    eve    2025-03-01 2025-03-04 E11.9
        """,
        expect="""
            stay measure verdict
            a    HF      no_row
            b    HF      index
            c    HF      index
            d    HF      no_row
            e    HF      no_row
        """,
    ),
    Rule(
        "A period with a gap",
        "FY2024 counts discharges to 1 December 2019 and from 1 July 2020; what lies between is not judged.",
        years=(2024,),
        stays="""
            stay person in         out        dx
            a    ann    2019-11-20 2019-12-01 I50.9
            b    bea    2019-11-20 2019-12-02 I50.9
            c    cora   2020-06-20 2020-06-30 I50.9
            d    dora   2020-06-20 2020-07-01 I50.9
        """,
        enrollment="""
            person from    to      cover
            ann    2018-01 2021-12 AB
            bea    2018-01 2021-12 AB
            cora   2018-01 2021-12 AB
            dora   2018-01 2021-12 AB
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      no_row
            c    HF      no_row
            d    HF      index
        """,
    ),
    Rule(
        "Short-term acute hospitals only",
        "Positions 3 to 6 of the CCN from 0001 to 0879 are a short-term acute hospital. Critical access hospitals (1300 to 1399), "
        "long-term care, rehabilitation and psychiatric hospitals, units (a letter in position 3) and numbers of no known kind have no "
        "index admissions. A column of the extract that says so wins over the number.",
        confidence="medium",
        stays="""
            stay person ccn    in         out        dx    acute
            a    ann    360001 2025-03-01 2025-03-04 I50.9 -
            b    bea    360879 2025-03-01 2025-03-04 I50.9 -
            c    cora   360880 2025-03-01 2025-03-04 I50.9 -
            d    dora   361300 2025-03-01 2025-03-04 I50.9 -
            e    eve    362000 2025-03-01 2025-03-04 I50.9 -
            f    fay    363025 2025-03-01 2025-03-04 I50.9 -
            g    gwen   364000 2025-03-01 2025-03-04 I50.9 -
            h    hope   36S001 2025-03-01 2025-03-04 I50.9 -
            i    iris   360001 2025-03-01 2025-03-04 I50.9 false
            j    jane   360880 2025-03-01 2025-03-04 I50.9 true
            k    kate   361300 2025-03-01 2025-03-04 I50.9 true
            l    lucy   360000 2025-03-01 2025-03-04 I50.9 -
            m    mary   361E02 2025-03-01 2025-03-04 I50.9 -
            n    nora   5A0001 2025-03-01 2025-03-04 I50.9 -
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      index
            c    HF      not_short_term_acute
            d    HF      not_short_term_acute
            e    HF      not_short_term_acute
            f    HF      not_short_term_acute
            g    HF      not_short_term_acute
            h    HF      not_short_term_acute
            i    HF      not_short_term_acute
            j    HF      index
            k    HF      not_short_term_acute
            l    HF      not_short_term_acute
            m    HF      not_short_term_acute
            n    HF      index
        """,
    ),
    Rule(
        "Age 65 at admission",
        "The patient is at least 65 on the day of admission, in whole years between birth and admission.",
        persons="""
            person born
            ann    1960-03-01
            bea    1960-03-02
            cora   1960-02-29
            dora   1960-03-01
            eve    1959-03-02
        """,
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9
            b    bea    2025-03-01 2025-03-04 I50.9
            c    cora   2025-02-28 2025-03-04 I50.9
            d    dora   2025-02-28 2025-03-04 I50.9
            e    eve    2025-03-01 2025-03-04 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      age
            c    HF      age
            d    HF      age
            e    HF      index
        """,
    ),
    Rule(
        "Implausible records",
        "Older than 115, sex unknown, admitted after the date of death, a death in hospital that is followed by a later stay, or longer "
        "than a year.",
        confidence="medium",
        persons="""
            person born       sex died
            ann    1909-03-01 F   -
            bea    1909-03-02 F   -
            cora   1909-03-01 M   -
            dora   1950-01-02 -   -
            eve    1950-01-02 F   2025-03-01
            fay    1950-01-02 F   2025-02-28
        """,
        stays="""
            stay person in         out        dx    status
            a    ann    2025-02-28 2025-03-04 I50.9 01
            b    bea    2025-03-01 2025-03-04 I50.9 01
            c    cora   2025-03-01 2025-03-04 I50.9 01
            d    dora   2025-03-01 2025-03-04 I50.9 01
            e    eve    2025-03-01 2025-03-04 I50.9 01
            f    fay    2025-03-01 2025-03-04 I50.9 01
            g    gwen   2025-03-01 2025-03-04 I50.9 20
            h    gwen   2025-08-01 2025-08-04 E11.9 01
            i    hope   2025-03-01 2025-03-04 I50.9 20
            j    iris   2024-07-01 2025-07-01 I50.9 01
            k    jane   2024-07-01 2025-07-02 I50.9 01
            l    kate   2025-03-01 2025-03-01 I50.9 20
            m    lucy   2025-03-01 2025-03-04 I50.9 20
            n    lucy   2025-03-04 2025-03-06 E11.9 01
            o    mary   2025-03-01 2025-03-10 I50.9 20
            p    mary   2025-03-05 2025-03-06 E11.9 01
            q    mary   2025-04-05 2025-04-06 E11.9 01
            r    nora   2025-03-01 2025-03-10 I50.9 20
            s    nora   2025-03-05 2025-03-06 E11.9 01
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      index
            c    HF      implausible_record
            d    HF      implausible_record
            e    HF      index
            f    HF      implausible_record
            g    HF      implausible_record,died_in_hospital
            i    HF      died_in_hospital
            j    HF      index
            k    HF      implausible_record
            l    HF      died_in_hospital
            m    HF      implausible_record,died_in_hospital
            o    HF      implausible_record,died_in_hospital
            r    HF      died_in_hospital
        """,
    ),
    Rule(
        "Enrolled for the 12 months before",
        "Parts A and B in fee for service in each of the 12 full months before the month of admission, and Part A in the month of "
        "admission itself.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-31 2025-04-02 I50.9
            b    bea    2025-03-31 2025-04-02 I50.9
            c    cora   2025-03-31 2025-04-02 I50.9
            d    dora   2025-03-31 2025-04-02 I50.9
            e    eve    2025-03-31 2025-04-02 I50.9
            f    fay    2025-03-31 2025-04-02 I50.9
            g    gwen   2025-03-31 2025-04-02 I50.9
            h    hope   2025-03-31 2025-04-02 I50.9
            i    iris   2025-03-31 2025-04-02 I50.9
            j    jane   2025-03-31 2025-04-02 I50.9
            k    kate   2025-03-31 2025-04-02 I50.9
            l    lucy   2025-03-31 2025-04-02 I50.9
            m    mary   2025-03-31 2025-04-02 I50.9
        """,
        enrollment="""
            person from    to      cover
            gwen   2025-02 2025-02 B
            hope   2025-02 2025-02 unpaid
            iris   2025-02 2025-02 MA_A
            jane   2025-02 2025-02 MA_B
            kate   2025-03 2025-03 B
            lucy   2025-03 2025-03 MA_A
            mary   2025-03 2025-03 MA_B
            ann    2022-01 2024-02 none
            bea    2022-01 2024-03 none
            cora   2025-02 2025-02 A
            dora   2025-03 2025-03 A
            eve    2025-03 2025-03 none
            fay    2024-09 2024-09 none
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      enrollment_before
            c    HF      enrollment_before
            d    HF      index
            e    HF      payer,enrollment_before
            f    HF      enrollment_before
            g    HF      enrollment_before
            h    HF      enrollment_before
            i    HF      enrollment_before
            j    HF      enrollment_before
            k    HF      enrollment_before
            l    HF      index
            m    HF      enrollment_before
        """,
    ),
    Rule(
        "Medicare Advantage counts from FY2027",
        "Months in Medicare Advantage and stays paid by it count from FY2027, and not before. Without a payer on the stay, "
        "enrollment in the month of admission names it; who is not enrolled in it has another payer.",
        stays="""
            stay person in         out        dx    payer
            a    ann    2025-03-01 2025-03-04 I50.9 FFS
            b    bea    2025-03-01 2025-03-04 I50.9 MA
            c    cora   2025-03-01 2025-03-04 I50.9 other
            d    dora   2025-03-01 2025-03-04 I50.9 -
            e    eve    2025-03-01 2025-03-04 I50.9 -
            f    fay    2025-03-01 2025-03-04 I50.9 FFS
        """,
        enrollment="""
            person from    to      cover
            dora   2025-03 2025-03 MA
            eve    2025-03 2025-03 none
            fay    2024-03 2024-08 MA
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      index
            c    HF      payer
            d    HF      index
            e    HF      payer,enrollment_before
            f    HF      index
        """,
    ),
    Rule(
        "Before FY2027 only fee for service",
        "In FY2026 a stay paid by Medicare Advantage, or a month in it, does not count.",
        years=(2026,),
        stays="""
            stay person in         out        dx    payer
            a    ann    2024-03-01 2024-03-04 I50.9 FFS
            b    bea    2024-03-01 2024-03-04 I50.9 MA
            c    cora   2024-03-01 2024-03-04 I50.9 -
            d    dora   2024-03-01 2024-03-04 I50.9 FFS
            e    eve    2024-03-01 2024-03-04 I50.9 FFS
            f    fay    2024-03-01 2024-03-04 I50.9 FFS
            g    gwen   2024-03-01 2024-03-04 I50.9 FFS
            h    hope   2024-03-01 2024-03-04 I50.9 FFS
        """,
        enrollment="""
            person from    to      cover
            fay    2023-09 2023-09 A
            gwen   2023-09 2023-09 B
            hope   2024-04 2024-04 B
            cora   2024-03 2024-03 MA
            dora   2023-09 2023-09 MA
            eve    2024-04 2024-04 MA
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      payer
            c    HF      payer,enrollment_before
            d    HF      enrollment_before
            e    HF      enrollment_after
            f    HF      enrollment_before
            g    HF      enrollment_before
            h    HF      enrollment_after
        """,
    ),
    Rule(
        "Enrolled after discharge",
        "Part A in the month after the month of discharge; a patient who dies within 30 days of discharge satisfies this.",
        confidence="medium",
        persons="""
            person died
            cora   2025-04-03
            dora   2025-04-04
            fay    2025-03-04
            gwen   2025-03-03
        """,
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9
            b    bea    2025-03-01 2025-03-04 I50.9
            c    cora   2025-03-01 2025-03-04 I50.9
            d    dora   2025-03-01 2025-03-04 I50.9
            e    eve    2025-03-01 2025-03-04 I50.9
            f    fay    2025-03-01 2025-03-04 I50.9
            g    gwen   2025-03-01 2025-03-04 I50.9
            h    hope   2025-03-01 2025-03-04 I50.9
        """,
        enrollment="""
            person from    to      cover
            hope   2025-04 2025-04 unpaid
            fay    2025-04 2026-12 none
            gwen   2025-04 2026-12 none
            ann    2025-04 2025-04 A
            bea    2025-04 2026-12 none
            cora   2025-04 2026-12 none
            dora   2025-04 2026-12 none
            eve    2025-05 2026-12 none
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      enrollment_after
            c    HF      index
            d    HF      enrollment_after
            e    HF      index
            f    HF      index
            g    HF      enrollment_after
            h    HF      enrollment_after
        """,
    ),
    Rule(
        "Follow-up not over yet",
        "A stay whose discharge + 30 days lies beyond the extract's last day is kept apart: its outcome is not yet known. It is no lost "
        "enrollment. A patient who has died within the 30 days counts as followed up.",
        confidence="medium",
        extract_end=date(2026, 4, 3),
        as_of=date(2026, 4, 3),
        persons="""
            person died
            cora   2026-04-01
            fay    2026-03-05
            gwen   2026-03-04
            hope   2026-04-04
            iris   2026-04-05
        """,
        enrollment="""
            person from    to      cover
            bea    2026-04 2026-12 none
            cora   2026-04 2026-12 none
        """,
        stays="""
            stay person in         out        dx
            a    ann    2026-03-01 2026-03-04 I50.9
            b    bea    2026-03-01 2026-03-05 I50.9
            c    cora   2026-03-01 2026-03-05 I50.9
            d    dora   2026-04-01 2026-04-04 I50.9
            e    eve    2026-04-01 2026-04-03 I50.9
            f    fay    2026-03-01 2026-03-05 I50.9
            g    gwen   2026-03-01 2026-03-05 I50.9
            h    hope   2026-03-01 2026-03-05 I50.9
            i    iris   2026-03-01 2026-03-05 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      follow_up_incomplete
            c    HF      index
            d    HF      no_row
            e    HF      follow_up_incomplete
            f    HF      index
            g    HF      follow_up_incomplete
            h    HF      index
            i    HF      follow_up_incomplete
        """,
    ),
    Rule(
        "Follow-up through the as-of date",
        "With follow_up_through = as_of the extract is taken to hold every admission up to the as-of date.",
        confidence="medium",
        extract_end=date(2026, 3, 10),
        as_of=date(2026, 4, 3),
        parameters={"follow_up_through": "as_of"},
        stays="""
            stay person in         out        dx
            a    ann    2026-03-01 2026-03-04 I50.9
            b    bea    2026-03-01 2026-03-05 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      follow_up_incomplete
        """,
    ),
    Rule(
        "Follow-up through the extract",
        "By default only what the extract holds is known, whatever the as-of date.",
        confidence="medium",
        extract_end=date(2026, 3, 10),
        as_of=date(2026, 4, 3),
        stays="""
            stay in         out        dx
            a    2026-03-01 2026-03-04 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      follow_up_incomplete
        """,
    ),
    Rule(
        "Deaths whose follow-up is not over",
        "With death_completes_follow_up = false only the calendar decides.",
        confidence="medium",
        extract_end=date(2026, 4, 3),
        as_of=date(2026, 4, 3),
        parameters={"death_completes_follow_up": False},
        persons="""
            person died
            ann    2026-04-01
        """,
        stays="""
            stay in         out        dx
            a    2026-03-01 2026-03-05 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      follow_up_incomplete
        """,
    ),
    Rule(
        "Discharged alive, with advice, and at an end",
        "Status 20 (and 40 to 42) died; 07 left against medical advice; 30 is still a patient. Hospice (50, 51) is no exclusion, nor is a "
        "status that names another acute hospital (02) where no stay there follows.",
        stays="""
            stay person in         out        dx    status
            a    ann    2025-03-01 2025-03-04 I50.9 20
            b    bea    2025-03-01 2025-03-04 I50.9 41
            c    cora   2025-03-01 2025-03-04 I50.9 07
            d    dora   2025-03-01 2025-03-04 I50.9 30
            e    eve    2025-03-01 2025-03-04 I50.9 50
            f    fay    2025-03-01 2025-03-04 I50.9 02
            g    gwen   2025-03-01 2025-03-04 I50.9 7
        """,
        expect="""
            stay measure verdict
            a    HF      died_in_hospital
            b    HF      died_in_hospital
            c    HF      left_against_medical_advice
            d    HF      still_a_patient
            e    HF      index
            f    HF      index
            g    HF      left_against_medical_advice
        """,
    ),
    Rule(
        "Thirty days between index admissions",
        "A stay admitted within 30 days after the discharge of an earlier index admission of the same measure is no index admission; it "
        "can still be that one's readmission. Another measure's index admission does not block.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9
            b    ann    2025-04-03 2025-04-06 I50.9
            c    bea    2025-03-01 2025-03-04 I50.9
            d    bea    2025-04-04 2025-04-06 I50.9
            e    cora   2025-03-01 2025-03-04 I50.9
            f    cora   2025-03-20 2025-03-24 J44.1
        """,
        expect="""
            stay measure verdict       return outcome
            a    HF      index         b      unplanned
            b    HF      prior_30_days -      -
            c    HF      index         -      -
            d    HF      index         -      -
            e    HF      index         f      unplanned
            f    COPD    index         -      -
        """,
    ),
    Rule(
        "Only an index admission blocks",
        "The second stay is blocked by the first, so the third, which is within 30 days of the second but not of the first, is an index "
        "admission. A stay excluded for another reason, or one outside the applicable period, never blocks.",
        stays="""
            stay person in         out        dx    status
            a    ann    2025-03-01 2025-03-04 I50.9 01
            b    ann    2025-03-20 2025-03-24 I50.9 01
            c    ann    2025-04-10 2025-04-14 I50.9 01
            d    ann    2025-05-01 2025-05-04 I50.9 01
            e    bea    2025-03-01 2025-03-04 I50.9 07
            f    bea    2025-03-20 2025-03-24 I50.9 01
            g    cora   2024-06-20 2024-06-30 I50.9 01
            h    cora   2024-07-10 2024-07-14 I50.9 01
            i    dora   2025-03-01 2025-03-04 I50.9 01
            j    dora   2025-03-20 2025-03-24 I50.9 07
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      prior_30_days
            c    HF      index
            d    HF      prior_30_days
            e    HF      left_against_medical_advice
            f    HF      index
            g    HF      no_row
            h    HF      index
            i    HF      index
            j    HF      left_against_medical_advice,prior_30_days
        """,
    ),
    Rule(
        "Who blocks whom, day by day",
        "Day 30 after an index discharge blocks, day 31 does not, the day of discharge does; a stay that begins before the discharge of "
        "another at the same hospital is not after it. What was blocked blocks nothing, what was not blocked does.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9
            b    ann    2025-04-04 2025-04-06 I50.9
            c    ann    2025-04-20 2025-04-22 I50.9
            d    bea    2025-03-01 2025-03-04 I50.9
            e    bea    2025-04-03 2025-04-06 I50.9
            f    bea    2025-04-20 2025-04-22 I50.9
            g    cora   2025-03-01 2025-03-04 I50.9
            h    cora   2025-03-04 2025-03-08 I11.0
            i    cora   2025-04-05 2025-04-07 I50.9
            j    dora   2025-03-01 2025-03-10 I50.9
            k    dora   2025-03-09 2025-03-12 I11.0
            l    dora   2025-04-10 2025-04-12 I50.9
            m    eve    2025-03-01 2025-03-10 I50.9
            n    eve    2025-03-09 2025-03-12 I11.0
            o    eve    2025-04-05 2025-04-07 I50.9
            p    fay    2025-03-01 2025-03-04 I50.9
            q    fay    2025-03-20 2025-03-24 J44.1
            r    fay    2025-04-10 2025-04-14 J44.1
            s    fay    2025-05-05 2025-05-08 J44.1
            t    ann    2025-05-10 2025-05-12 I50.9
            u    bea    2025-05-10 2025-05-12 I50.9
            v    cora   2025-05-01 2025-05-03 I50.9
            w    dora   2025-05-05 2025-05-07 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      index
            c    HF      prior_30_days
            d    HF      index
            e    HF      prior_30_days
            f    HF      index
            g    HF      index
            h    HF      prior_30_days
            i    HF      index
            j    HF      index
            k    HF      index
            l    HF      prior_30_days
            m    HF      index
            n    HF      index
            o    HF      prior_30_days
            p    HF      index
            q    COPD    index
            r    COPD    prior_30_days
            s    COPD    index
            t    HF      index
            u    HF      prior_30_days
            v    HF      prior_30_days
            w    HF      index
        """,
    ),
    Rule(
        "A long row of stays",
        "Every stay is judged by the index admissions before it, however many there are.",
        stays="""
            stay in         out        dx
            a    2025-03-01 2025-03-04 I50.9
            b    2025-04-20 2025-04-22 I50.9
            c    2025-05-10 2025-05-12 I50.9
            d    2025-06-01 2025-06-03 I50.9
            e    2025-06-20 2025-06-22 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      index
            c    HF      prior_30_days
            d    HF      index
            e    HF      prior_30_days
        """,
    ),
    Rule(
        "Every program year for itself",
        "A stay blocks in the program years whose period holds it, and in no other.",
        years=(2028, 2027),
        stays="""
            stay in         out        dx
            a    2024-06-20 2024-06-30 I50.9
            b    2024-07-10 2024-07-14 I50.9
            c    2024-08-01 2024-08-04 I50.9
            d    2024-08-25 2024-08-28 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      no_row
            b    HF      index
            c    HF      prior_30_days
            d    HF      index
        """,
    ),
    Rule(
        "Quarters under an exception",
        "The calendar quarters for which a hospital has an extraordinary circumstances exception are dropped, by discharge date.",
        hospitals="""
            ccn    excluded_quarters
            360001 2024Q4;2025Q1
            360002 -
        """,
        stays="""
            stay person ccn    in         out        dx
            a    ann    360001 2024-09-28 2024-09-30 I50.9
            b    bea    360001 2024-09-28 2024-10-01 I50.9
            c    cora   360001 2025-03-28 2025-03-31 I50.9
            d    dora   360001 2025-03-28 2025-04-01 I50.9
            e    eve    360002 2025-03-28 2025-03-31 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      excluded_quarter
            c    HF      excluded_quarter
            d    HF      index
            e    HF      index
        """,
    ),
    Rule(
        "COVID-19, FY2023 to FY2026",
        "A stay with COVID-19 as principal diagnosis, or as secondary diagnosis present on admission, is no index admission.",
        years=(2026,),
        stays="""
            stay person in         out        dx
            a    ann    2024-03-01 2024-03-04 I50.9,U07.1
            b    bea    2024-03-01 2024-03-04 I50.9,U07.1/N
            c    cora   2024-03-01 2024-03-04 I50.9,Z86.16
            d    dora   2024-03-01 2024-03-04 U07.1,I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      covid_19
            b    HF      index
            c    HF      index
            d    HF      no_row
        """,
    ),
    Rule(
        "COVID-19 from FY2027",
        "The COVID-19 rule has ended.",
        stays="""
            stay in         out        dx
            a    2025-03-01 2025-03-04 I50.9,U07.1
        """,
        expect="""
            stay measure verdict
            a    HF      index
        """,
    ),
    Rule(
        "All reasons, in their order",
        "Every reason that applies is named, in the order of reference.reason_codes; the first one counts the stay.",
        persons="""
            person born       sex
            ann    1970-01-01 -
        """,
        stays="""
            stay ccn    in         out        dx    status payer
            a    361301 2025-03-01 2025-03-04 I50.9 07     other
        """,
        enrollment="""
            from    to      cover
            2025-01 2026-12 none
        """,
        expect="""
            stay measure verdict
            a    HF      implausible_record,not_short_term_acute,payer,age,enrollment_before,left_against_medical_advice,enrollment_after
        """,
    ),
)
