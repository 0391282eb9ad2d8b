"""Risk factors: from which diagnoses, in which place, in which year."""

from __future__ import annotations

from patient_tables import Rule

CHAPTER = "Risk factors"

RULES = (
    Rule(
        "Years over 65 and sex",
        "Age at admission less 65, in whole years (a patient of 65 has none); male.",
        persons="""
            person born       sex
            ann    1950-03-01 F
            bob    1960-03-01 M
            cora   1960-03-01 2
            dan    1960-03-01 1
        """,
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9
            b    bob    2025-03-01 2025-03-04 I50.9
            c    cora   2025-03-01 2025-03-04 I50.9
            d    dan    2025-03-01 2025-03-04 I50.9
        """,
        expect="""
            stay measure verdict factors
            a    HF      index   years_over_65=10,!male
            b    HF      index   !years_over_65,male
            c    HF      index   !male
            d    HF      index   male
        """,
    ),
    Rule(
        "Secondary diagnoses of the index admission",
        "Every secondary diagnosis counts through its condition category, the principal diagnosis never, unless it stands in the list "
        "again; of a code that stands there twice the line present on admission counts. A measure has its own risk factors only.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9,E11.9,J18.9
            b    bea    2025-03-01 2025-03-04 J18.9,I50.9
            c    cora   2025-03-01 2025-03-04 J18.9,J18.9
            d    dora   2025-03-01 2025-03-04 I50.9,I48.91/N,I48.91
            e    eve    2025-03-01 2025-03-04 I50.9,M48.50XA
        """,
        expect="""
            stay measure verdict factors
            a    HF      index   diabetes,pneumonia,!chf,!anemia
            b    PN      index   chf,!pneumonia
            c    PN      index   pneumonia
            d    HF      index   arrhythmia
            e    HF      index   !vertebral_fracture
        """,
    ),
    Rule(
        "History of 365 days",
        "Principal and secondary diagnoses of inpatient stays, outpatient and physician claims, discharged or served in the 365 days "
        "before admission; an inpatient stay that ends on the day of admission counts, a claim of that day does not.",
        stays="""
            stay person in         out        dx
            a    ann    2024-02-20 2024-03-01 E11.9,D62
            b    ann    2025-03-01 2025-03-04 I50.9
            c    bea    2024-02-20 2024-02-29 E11.9
            d    bea    2025-03-01 2025-03-04 I50.9
            e    cora   2025-02-20 2025-03-01 E11.9
            f    cora   2025-03-01 2025-03-04 I50.9
            g    dora   2025-03-01 2025-03-04 I50.9
            h    eve    2025-03-01 2025-03-01 I50.9
            i    eve    2025-03-01 2025-03-01 E11.9
            j    fay    2025-03-01 2025-03-05 E11.9
            k    fay    2025-03-04 2025-03-08 I50.9
        """,
        history="""
            kind      person date       code
            diagnosis dora   2024-03-01 E11.9
            diagnosis dora   2024-02-29 D62
            diagnosis dora   2025-03-01 E46
            diagnosis dora   2025-02-28 J44.9
            diagnosis dora   2025-02-28 M48.50XA
            diagnosis dora   2025-02-28 G47.33
        """,
        expect="""
            stay measure verdict factors
            b    HF      index   diabetes,anemia,!hx_covid,!hx_cabg
            d    HF      index   !diabetes
            f    HF      index   diabetes
            g    HF      index   diabetes,copd,!anemia,!malnutrition,!vertebral_fracture,!sleep_disordered_breathing
            h    HF      index   !diabetes,!chf
            k    HF      index   !diabetes
        """,
    ),
    Rule(
        "Every kind of stay gives history",
        "Stays in rehabilitation, psychiatric and long-term hospitals give history too, and so do stays that are no index admissions.",
        stays="""
            stay person ccn    in         out        dx          status
            a    ann    364001 2024-08-20 2024-08-30 F32.9,E11.9 01
            b    ann    360001 2025-03-01 2025-03-04 I50.9       01
            c    bea    360001 2024-08-20 2024-08-30 I50.9,D62   07
            d    bea    360001 2025-03-01 2025-03-04 I50.9       01
        """,
        expect="""
            stay measure verdict                     factors
            b    HF      index                       diabetes
            c    HF      left_against_medical_advice -
            d    HF      index                       anemia,chf
        """,
    ),
    Rule(
        "Earlier stays of the chain",
        "Diagnoses of earlier stays of the transfer chain feed the history of the last one, their principal diagnosis too.",
        stays="""
            stay ccn    in         out        dx          status
            a    360001 2025-03-01 2025-03-04 J18.9,E11.9 02
            b    360002 2025-03-05 2025-03-08 I50.9       01
        """,
        expect="""
            stay measure verdict         factors
            a    PN      transferred_out -
            b    HF      index           pneumonia,diabetes
        """,
    ),
    Rule(
        "A chain longer than a year",
        "Earlier stays of the chain give history however long ago they were.",
        stays="""
            stay ccn    in         out        dx
            a    360001 2023-12-28 2024-01-01 D62
            b    360002 2024-01-02 2025-02-10 E11.9
            c    360003 2025-02-11 2025-02-14 I50.9
        """,
        expect="""
            stay measure verdict factors
            c    HF      index   anemia,diabetes
        """,
    ),
    Rule(
        "Complications of care, from FY2023",
        "A diagnosis of a complication category (here heart rhythm, and electrolytes) that stands on the index admission only counts when "
        "it was present on admission; other categories count anyway; history counts anyway.",
        confidence="medium",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9,I48.91,E11.9/N
            b    bea    2025-03-01 2025-03-04 I50.9,I48.91/N
            c    cora   2025-03-01 2025-03-04 I50.9,I48.91/N
            d    dora   2025-03-01 2025-03-04 I50.9,I48.91/W
        """,
        history="""
            kind      person date       code
            diagnosis cora   2024-12-01 I48.0
        """,
        expect="""
            stay measure verdict factors
            a    HF      index   arrhythmia,diabetes
            b    HF      index   !arrhythmia
            c    HF      index   arrhythmia
            d    HF      index   arrhythmia
        """,
    ),
    Rule(
        "Complications of care, to FY2022",
        "Until FY2022 a complication category that stands on the index admission only is dropped, present on admission or not. One finding "
        "that counts is enough: heart failure in the history, or as principal diagnosis where a code of place any says so.",
        confidence="medium",
        years=(2022,),
        stays="""
            stay person in         out        dx
            a    ann    2019-03-01 2019-03-04 I50.9,I48.91,E11.9
            b    bea    2019-03-01 2019-03-04 I50.9,I48.91
            c    cora   2019-03-01 2019-03-04 J44.1,I13.2
            d    dora   2019-03-01 2019-03-04 I13.2,I13.2
        """,
        history="""
            kind      person date       code
            diagnosis cora   2018-12-01 I50.9
            diagnosis bea    2018-12-01 I48.0
        """,
        enrollment="""
            person from    to      cover
            ann    2018-01 2019-12 AB
            bea    2018-01 2019-12 AB
            cora   2018-01 2019-12 AB
            dora   2018-01 2019-12 AB
        """,
        expect="""
            stay measure verdict factors
            a    HF      index   !arrhythmia,diabetes,years_over_65=4
            b    HF      index   arrhythmia
            c    COPD    index   chf,renal_failure
            d    HF      index   chf
        """,
    ),
    Rule(
        "Present on admission in every year",
        "With poa_rule = present_on_admission the newer rule holds in earlier years too.",
        confidence="medium",
        years=(2022,),
        parameters={"poa_rule": "present_on_admission"},
        stays="""
            stay person in         out        dx
            a    ann    2019-03-01 2019-03-04 I50.9,I48.91
            b    bea    2019-03-01 2019-03-04 I50.9,I48.91/N
        """,
        enrollment="""
            person from    to      cover
            ann    2018-01 2019-12 AB
            bea    2018-01 2019-12 AB
        """,
        expect="""
            stay measure verdict factors
            a    HF      index   arrhythmia
            b    HF      index   !arrhythmia
        """,
    ),
    Rule(
        "The complication rule as a choice",
        "With poa_rule = complication_list the older rule holds in every year.",
        confidence="medium",
        parameters={"poa_rule": "complication_list"},
        stays="""
            stay in         out        dx
            a    2025-03-01 2025-03-04 I50.9,I48.91
        """,
        expect="""
            stay measure verdict factors
            a    HF      index   !arrhythmia
        """,
    ),
    Rule(
        "Two categories of one code",
        "A code may stand in two categories: I13.2 is heart failure (a complication category) and renal failure.",
        stays="""
            stay in         out        dx
            a    2025-03-01 2025-03-04 J44.1,I13.2/N
        """,
        expect="""
            stay measure verdict factors
            a    COPD    index   renal_failure
        """,
    ),
    Rule(
        "Place: any",
        "A code with place any counts on the index admission (principal or secondary) and in the history.",
        confidence="low",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 J44.1,G47.33/N
            b    bea    2025-03-01 2025-03-04 J44.1
            c    cora   2025-03-01 2025-03-04 J44.1
            d    dora   2025-03-01 2025-03-04 I13.2
        """,
        history="""
            kind      person date       code
            diagnosis bea    2024-12-01 G47.33
        """,
        expect="""
            stay measure verdict factors
            a    COPD    index   sleep_disordered_breathing
            b    COPD    index   sleep_disordered_breathing
            c    COPD    index   !sleep_disordered_breathing
            d    HF      index   chf,!renal_failure
        """,
    ),
    Rule(
        "Place any and complications of care",
        "A code of place any or any_secondary that is in a complication category (here R09.02, and I13.2 by one of its two) is "
        "dropped like any other where it stands on the index admission only and was not present on admission; the principal "
        "diagnosis is not.",
        confidence="medium",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 J44.1,R09.02/N
            b    bea    2025-03-01 2025-03-04 J44.1,R09.02
            c    cora   2025-03-01 2025-03-04 J44.1,I13.2/N
            d    dora   2025-03-01 2025-03-04 I13.2
            e    eve    2025-03-01 2025-03-04 J44.1
        """,
        history="""
            kind      person date       code
            diagnosis eve    2024-12-01 R09.02
        """,
        expect="""
            stay measure verdict factors
            a    COPD    index   !cardioresp_failure
            b    COPD    index   cardioresp_failure
            c    COPD    index   !chf,renal_failure
            d    HF      index   chf
            e    COPD    index   cardioresp_failure
        """,
    ),
    Rule(
        "Places: index_principal and index_any",
        "The site of an infarction is read from the principal diagnosis only; post-traumatic arthritis from any diagnosis of the index "
        "admission, and not from the history. Each measure has its own variables: what is one for a joint replacement is none for heart "
        "failure. Status codes of place any_secondary say nothing as principal diagnosis.",
        stays="""
            stay person in         out        dx            px
            a    ann    2025-03-01 2025-03-04 I21.09        -
            b    bea    2025-03-01 2025-03-04 I21.4,I21.09  -
            c    cora   2025-03-01 2025-03-04 M16.51        0SR90J9
            d    dora   2025-03-01 2025-03-04 E11.9,M16.51  0SR90J9
            e    eve    2025-03-01 2025-03-04 M16.11        0SR90J9
            f    fay    2025-03-01 2025-03-04 I21.09,I21.09 -
            g    gwen   2025-03-01 2025-03-04 I50.9,M16.51,G47.33 0SR90J9
            h    hope   2025-03-01 2025-03-04 Z95.1         021009W
            i    iris   2025-03-01 2025-03-04 M17.11        0SR90J9,0SRC0J9
        """,
        history="""
            kind      person date       code
            diagnosis eve    2024-12-01 M16.51
        """,
        expect="""
            stay measure verdict factors
            a    AMI     index   anterior_mi,!non_anterior_mi
            b    AMI     index   !anterior_mi
            c    THA_TKA index   post_traumatic_oa,index_tha
            d    THA_TKA index   post_traumatic_oa
            e    THA_TKA index   !post_traumatic_oa
            f    AMI     index   anterior_mi
            g    HF      index   !post_traumatic_oa,!index_tha,!sleep_disordered_breathing
            g    THA_TKA index   post_traumatic_oa,index_tha
            h    CABG    index   !hx_cabg_or_valve
            i    THA_TKA index   index_tha,two_procedures
        """,
    ),
    Rule(
        "Place: index_secondary_poa",
        "Cardiogenic shock counts as a secondary diagnosis of the index admission that was present on admission.",
        confidence="medium",
        stays="""
            stay person in         out        dx           px
            a    ann    2025-03-01 2025-03-08 I25.10,R57.0   021009W
            b    bea    2025-03-01 2025-03-08 I25.10,R57.0/N 021009W
            c    cora   2025-03-01 2025-03-08 R57.0          021009W
            d    dora   2025-03-01 2025-03-08 I25.10         021009W
        """,
        history="""
            kind      person date       code
            diagnosis dora   2024-12-01 R57.0
        """,
        expect="""
            stay measure verdict factors
            a    CABG    index   cardiogenic_shock
            b    CABG    index   !cardiogenic_shock
            c    CABG    index   !cardiogenic_shock
            d    CABG    index   !cardiogenic_shock
        """,
    ),
    Rule(
        "Places: any_secondary and procedure_12m",
        "A history of bypass is a bypass procedure in the 365 days before (not on the index admission), or the status code Z95.1 as "
        "secondary diagnosis or in the history.",
        confidence="medium",
        stays="""
            stay person in         out        dx          px
            a    ann    2024-08-01 2024-08-08 I25.10      021009W
            b    ann    2025-03-01 2025-03-04 I50.9       -
            c    bea    2025-03-01 2025-03-04 I50.9,Z95.1 -
            d    cora   2025-03-01 2025-03-04 I50.9       021009W
            e    dora   2025-03-01 2025-03-04 I50.9       -
            f    eve    2025-03-01 2025-03-04 I50.9       -
            g    fay    2025-03-01 2025-03-04 I50.9       -
            h    gwen   2025-03-01 2025-03-04 I50.9       -
            i    hope   2025-03-01 2025-03-04 I21.4       -
            j    iris   2025-03-01 2025-03-04 I50.9       -
        """,
        history="""
            kind      person date       code
            procedure dora   2024-12-01 021009W
            procedure eve    2024-02-29 021009W
            procedure fay    2024-03-01 021009W
            procedure gwen   2025-03-01 021009W
            procedure hope   2024-12-01 02703ZZ
            procedure iris   2024-12-01 5A1955Z
        """,
        expect="""
            stay measure verdict factors
            a    CABG    index   -
            b    HF      index   hx_cabg
            c    HF      index   hx_cabg
            d    HF      index   !hx_cabg
            d    CABG    index   -
            e    HF      index   hx_cabg
            f    HF      index   !hx_cabg
            g    HF      index   hx_cabg
            h    HF      index   !hx_cabg
            i    AMI     index   hx_ptca,!hx_cabg
            j    HF      index   !hx_cabg,!hx_mech_vent
        """,
    ),
    Rule(
        "Place: history",
        "A history of COVID-19 is U07.1 before the index admission (on it, it is none), or Z86.16 on either.",
        confidence="medium",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9,U07.1
            b    bea    2025-03-01 2025-03-04 I50.9,Z86.16
            c    cora   2025-03-01 2025-03-04 I50.9
            d    dora   2024-08-01 2024-08-04 U07.1
            e    dora   2025-03-01 2025-03-04 I50.9
            f    eve    2025-02-20 2025-03-01 E11.9,U07.1
            g    eve    2025-03-01 2025-03-04 I50.9
        """,
        history="""
            kind      person date       code
            diagnosis cora   2024-12-01 Z86.16
        """,
        expect="""
            stay measure verdict factors
            a    HF      index   !hx_covid
            b    HF      index   hx_covid
            c    HF      index   hx_covid
            e    HF      index   hx_covid
            g    HF      index   hx_covid,diabetes
        """,
    ),
)
