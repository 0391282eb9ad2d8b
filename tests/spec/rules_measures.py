"""What each of the six measures counts."""

from __future__ import annotations

from patient_tables import Rule

CHAPTER = "The six measures"

RULES = (
    Rule(
        "AMI",
        "Principal diagnosis I21.0 to I21.4 or I21.9; not I21.A1, I21.A9, I21.B, nor I22. A stay that ends on the day of admission is "
        "excluded; in other measures it is not.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I21.09
            b    bea    2025-03-01 2025-03-04 I21.4
            c    cora   2025-03-01 2025-03-04 I21.9
            d    dora   2025-03-01 2025-03-04 I21.A1
            e    eve    2025-03-01 2025-03-04 I22.0
            f    fay    2025-03-01 2025-03-04 E11.9,I21.4
            g    gwen   2025-03-01 2025-03-01 I21.4
            h    hope   2025-03-01 2025-03-01 I50.9
            i    iris   2025-03-01 2025-03-04 I21.4,I22.0
        """,
        expect="""
            stay measure verdict
            i    AMI     index
            a    AMI     index
            b    AMI     index
            c    AMI     index
            d    AMI     no_row
            e    AMI     no_row
            f    AMI     no_row
            g    AMI     same_day_discharge
            h    HF      index
        """,
    ),
    Rule(
        "COPD",
        "Principal diagnosis J41.8, J42, J43 or J44; or respiratory failure (J96.0, J96.2, J96.9, J80, R09.2) with a secondary J44.0 or "
        "J44.1.",
        confidence="medium",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 J44.9
            b    bea    2025-03-01 2025-03-04 J43.9
            c    cora   2025-03-01 2025-03-04 J96.01,J44.1
            d    dora   2025-03-01 2025-03-04 J96.01,J44.1/N
            e    eve    2025-03-01 2025-03-04 J96.01,J44.9
            f    fay    2025-03-01 2025-03-04 J96.11,J44.1
            g    gwen   2025-03-01 2025-03-04 J41.0
            h    hope   2025-03-01 2025-03-04 R09.2,E11.9,J44.0
            i    iris   2025-03-01 2025-03-04 E11.9,J96.01,J44.1
            j    jane   2025-03-01 2025-03-04 J96.01,J18.9
            k    kate   2025-03-01 2025-03-04 J96.01,J44.1,J44.0
            l    lucy   2025-03-01 2025-03-04 J96.01,R09.2
        """,
        expect="""
            stay measure verdict
            a    COPD    index
            b    COPD    index
            c    COPD    index
            d    COPD    index
            e    COPD    no_row
            f    COPD    no_row
            g    COPD    no_row
            h    COPD    index
            i    COPD    no_row
            j    COPD    no_row
            k    COPD    index
            l    COPD    no_row
        """,
    ),
    Rule(
        "HF",
        "Principal diagnosis I09.81, I11.0, I13.0, I13.2 or I50.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.22
            b    bea    2025-03-01 2025-03-04 I11.0
            c    cora   2025-03-01 2025-03-04 I13.2
            d    dora   2025-03-01 2025-03-04 I13.10
            e    eve    2025-03-01 2025-03-04 I09.81
            f    fay    2025-03-01 2025-03-04 I11.9
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      index
            c    HF      index
            d    HF      no_row
            e    HF      index
            f    HF      no_row
        """,
    ),
    Rule(
        "HF: assist device or transplant",
        "Excluded with a left ventricular assist device or heart transplant procedure on the stay or in the 365 days before it, on an "
        "earlier stay or another claim.",
        confidence="medium",
        stays="""
            stay person in         out        dx    px
            a    ann    2025-03-01 2025-03-04 I50.9 02HA0QZ
            b    bea    2024-08-01 2024-08-04 E11.9 02YA0Z0
            c    bea    2025-03-01 2025-03-04 I50.9 -
            d    cora   2024-02-20 2024-02-29 E11.9 02YA0Z0
            e    cora   2025-03-01 2025-03-04 I50.9 -
            f    dora   2025-03-01 2025-03-04 I50.9 -
            g    eve    2025-03-01 2025-03-04 I50.9 -
            h    fay    2025-03-01 2025-03-04 I50.9,Z95.811 -
            i    gwen   2025-03-01 2025-03-04 I50.9 -
            j    hope   2025-03-01 2025-03-04 I50.9 -
            k    iris   2024-08-01 2024-08-04 E11.9,Z95.811 -
            l    iris   2025-03-01 2025-03-04 I50.9 -
            m    jane   2025-03-01 2025-03-04 I50.9 -
        """,
        history="""
            kind      person date       code
            diagnosis hope   2024-12-01 I50.9
            procedure jane   2024-02-29 02HA0QZ
            diagnosis gwen   2024-12-01 Z95.811
            procedure dora   2024-03-01 02HA4QZ
            procedure eve    2025-03-01 02HA0QZ
        """,
        expect="""
            stay measure verdict
            a    HF      lvad_or_transplant
            c    HF      lvad_or_transplant
            e    HF      index
            f    HF      lvad_or_transplant
            g    HF      index
            h    HF      index
            i    HF      index
            j    HF      index
            l    HF      index
            m    HF      index
        """,
    ),
    Rule(
        "HF: status codes",
        "With optional_assist_device_status a status code of a device or transplant in the year before counts too.",
        confidence="low",
        parameters={"optional_assist_device_status": True},
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 I50.9,Z95.811
            b    bea    2025-03-01 2025-03-04 I50.9
            c    cora   2024-08-01 2024-08-04 E11.9,Z95.811
            d    cora   2025-03-01 2025-03-04 I50.9
            e    dora   2024-12-01 2024-12-04 I50.9
            f    dora   2025-03-01 2025-03-04 I50.9
        """,
        history="""
            kind      person date       code
            diagnosis bea    2024-12-01 Z94.1
            diagnosis dora   2024-11-01 I50.9
        """,
        expect="""
            stay measure verdict
            a    HF      index
            b    HF      lvad_or_transplant
            d    HF      lvad_or_transplant
            e    HF      index
            f    HF      index
        """,
    ),
    Rule(
        "PN",
        "Principal diagnosis of viral, bacterial, aspiration or unspecified pneumonia, influenza with pneumonia or legionella. J12.82, "
        "J18.2 and J95.851 are not among them.",
        confidence="medium",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 J18.9
            b    bea    2025-03-01 2025-03-04 J69.0
            c    cora   2025-03-01 2025-03-04 A48.1
            d    dora   2025-03-01 2025-03-04 J12.82
            e    eve    2025-03-01 2025-03-04 J18.2
            f    fay    2025-03-01 2025-03-04 J95.851
        """,
        expect="""
            stay measure verdict
            a    PN      index
            b    PN      index
            c    PN      index
            d    PN      no_row
            e    PN      no_row
            f    PN      no_row
        """,
    ),
    Rule(
        "PN: sepsis with pneumonia",
        "Sepsis as principal diagnosis with a secondary pneumonia that was present on admission, and without severe sepsis (R65.2) "
        "present on admission. Blank, W and 1 are present; N and U are not.",
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 A41.9,J18.9
            b    bea    2025-03-01 2025-03-04 A41.9,J18.9/N
            c    cora   2025-03-01 2025-03-04 A41.9,J18.9/U
            d    dora   2025-03-01 2025-03-04 A41.9,J18.9/W
            e    eve    2025-03-01 2025-03-04 A41.9,J18.9,R65.20
            f    fay    2025-03-01 2025-03-04 A41.9,J18.9,R65.21/N
            g    gwen   2025-03-01 2025-03-04 A41.9,E11.9
            h    hope   2025-03-01 2025-03-04 A41.9,J12.82
            i    iris   2025-03-01 2025-03-04 A41.9,J69.0/1
            j    jane   2025-03-01 2025-03-04 A41.9,J44.1
            k    kate   2025-03-01 2025-03-04 E11.9,A41.9,J18.9
            l    lucy   2025-03-01 2025-03-04 J12.82,J18.9
            m    mary   2025-03-01 2025-03-04 A41.9,J18.9,J69.0
        """,
        expect="""
            stay measure verdict
            a    PN      index
            b    PN      no_row
            c    PN      no_row
            d    PN      index
            e    PN      no_row
            f    PN      index
            g    PN      no_row
            h    PN      no_row
            i    PN      index
            j    PN      no_row
            k    PN      no_row
            l    PN      no_row
            m    PN      index
        """,
    ),
    Rule(
        "PN: COVID-19 pneumonia beside sepsis",
        "With optional_pneumonia_secondary J12.82 counts as the pneumonia beside a sepsis.",
        confidence="low",
        parameters={"optional_pneumonia_secondary": True},
        stays="""
            stay person in         out        dx
            a    ann    2025-03-01 2025-03-04 A41.9,J12.82
            b    bea    2025-03-01 2025-03-04 A41.9,A40.0
        """,
        expect="""
            stay measure verdict
            a    PN      index
            b    PN      no_row
        """,
    ),
    Rule(
        "CABG",
        "A bypass code on any procedure line, whatever the diagnosis. Not isolated where another heart, vessel or chest operation of the "
        "list stands beside it.",
        confidence="medium",
        stays="""
            stay person in         out        dx     px
            a    ann    2025-03-01 2025-03-08 I25.10 021009W
            b    bea    2025-03-01 2025-03-08 I21.4  0DTJ4ZZ,021109W
            c    cora   2025-03-01 2025-03-08 I25.10 021009W,02RF08Z
            d    dora   2025-03-01 2025-03-08 I25.10 02703ZZ
            e    eve    2025-03-01 2025-03-08 I25.10 021009W,021109W
            f    fay    2025-03-01 2025-03-08 I50.9  021009W,02HA0QZ
        """,
        expect="""
            stay measure verdict
            a    CABG    index
            b    AMI     index
            b    CABG    index
            c    CABG    not_isolated_cabg
            d    CABG    no_row
            e    CABG    index
            f    CABG    not_isolated_cabg
            f    HF      lvad_or_transplant
        """,
    ),
    Rule(
        "CABG: only the first",
        "The first is the earliest isolated bypass discharged in the period, before other exclusions; every later bypass of the person "
        "is excluded, however long after. The 30-day spacing does not apply.",
        confidence="medium",
        stays="""
            stay person in         out        dx     px              status
            a    ann    2025-03-01 2025-03-08 I25.10 021009W         01
            b    ann    2026-03-01 2026-03-08 I25.10 021009W         01
            c    bea    2025-03-01 2025-03-08 I25.10 021009W         07
            d    bea    2025-06-01 2025-06-08 I25.10 021009W         01
            e    cora   2025-03-01 2025-03-08 I25.10 021009W,02RF08Z 01
            f    cora   2025-03-20 2025-03-28 I25.10 021009W         01
            g    dora   2024-06-01 2024-06-08 I25.10 021009W         01
            h    dora   2025-03-01 2025-03-08 I25.10 021009W         01
            i    eve    2025-03-01 2025-03-08 I25.10 021009W         01
            j    eve    2025-06-01 2025-06-08 I25.10 021009W,02RF08Z 01
            k    fay    2025-03-01 2025-03-08 I25.10 021009W         01
            l    fay    2025-03-20 2025-03-28 I25.10 021009W         01
        """,
        expect="""
            stay measure verdict
            a    CABG    index
            b    CABG    later_cabg
            c    CABG    left_against_medical_advice
            d    CABG    later_cabg
            e    CABG    not_isolated_cabg
            f    CABG    index
            g    CABG    no_row
            h    CABG    index
            i    CABG    index
            j    CABG    not_isolated_cabg,later_cabg
            k    CABG    index
            l    CABG    later_cabg
        """,
    ),
    Rule(
        "THA/TKA",
        "A total hip or knee replacement code on any procedure line; not with a partial replacement, a revision, a resurfacing or the "
        "removal of a device.",
        confidence="medium",
        stays="""
            stay person in         out        dx     px
            a    ann    2025-03-01 2025-03-04 M17.11 0SRC0J9
            b    bea    2025-03-01 2025-03-04 M16.11 0SR90J9
            c    cora   2025-03-01 2025-03-04 M16.11 0SRR019
            d    dora   2025-03-01 2025-03-04 M16.11 0SR90J9,0SRR019
            e    eve    2025-03-01 2025-03-04 M16.11 0SR90J9,0SW90JZ
            f    fay    2025-03-01 2025-03-04 M16.11 0SR90J9,0SU90BZ
            g    gwen   2025-03-01 2025-03-04 M16.11 0SR90J9,0SP90JZ
            h    hope   2025-03-01 2025-03-04 M16.11 0SR90KZ
            i    iris   2025-03-01 2025-03-04 M16.11 0SR90J9,0SRR019,0SW90JZ
            j    jane   2025-03-01 2025-03-04 I50.9  0SR90J9,0SW90JZ
        """,
        expect="""
            stay measure verdict
            a    THA_TKA index
            b    THA_TKA index
            c    THA_TKA no_row
            d    THA_TKA partial_or_revision
            e    THA_TKA partial_or_revision
            f    THA_TKA partial_or_revision
            g    THA_TKA partial_or_revision
            h    THA_TKA no_row
            i    THA_TKA partial_or_revision
            j    THA_TKA partial_or_revision
            j    HF      index
        """,
    ),
    Rule(
        "THA/TKA: diagnoses",
        "Excluded with a fracture of femur, hip or pelvis (principal, or secondary present on admission), and with a mechanical "
        "complication or a malignant neoplasm of the list as principal diagnosis.",
        confidence="medium",
        stays="""
            stay person in         out        dx                px
            a    ann    2025-03-01 2025-03-04 S72.001A          0SR90J9
            b    bea    2025-03-01 2025-03-04 M16.11,S72.001A   0SR90J9
            c    cora   2025-03-01 2025-03-04 M16.11,S72.001A/N 0SR90J9
            d    dora   2025-03-01 2025-03-04 T84.010A          0SR90J9
            e    eve    2025-03-01 2025-03-04 M16.11,T84.010A   0SR90J9
            f    fay    2025-03-01 2025-03-04 C40.20            0SR90J9
            g    gwen   2025-03-01 2025-03-04 M16.11,C40.20     0SR90J9
            h    hope   2025-03-01 2025-03-04 S72.001A/N        0SR90J9
        """,
        expect="""
            stay measure verdict
            a    THA_TKA fracture
            b    THA_TKA fracture
            c    THA_TKA index
            d    THA_TKA mechanical_complication
            e    THA_TKA index
            f    THA_TKA malignancy
            g    THA_TKA index
            h    THA_TKA fracture
        """,
    ),
    Rule(
        "THA/TKA: number of procedures",
        "Two qualifying codes are an index admission (and a risk factor), three are not. A code that stands twice counts once.",
        confidence="medium",
        stays="""
            stay person in         out        dx     px
            a    ann    2025-03-01 2025-03-04 M17.0  0SRC0J9,0SRD0J9
            b    bea    2025-03-01 2025-03-04 M17.0  0SRC0J9,0SRD0J9,0SR90J9
            c    cora   2025-03-01 2025-03-04 M17.0  0SRC0J9,0SRC0J9,0SRD0J9
        """,
        expect="""
            stay measure verdict                  factors
            a    THA_TKA index                    two_procedures,!index_tha
            b    THA_TKA more_than_two_procedures -
            c    THA_TKA index                    two_procedures
        """,
    ),
    Rule(
        "THA/TKA: uncertain procedure codes",
        "With uncertain_hip_knee_procedures the codes of that role qualify, hips as hips.",
        confidence="low",
        parameters={"uncertain_hip_knee_procedures": True},
        stays="""
            stay person in         out        dx     px
            a    ann    2025-03-01 2025-03-04 M16.11 0SR90KZ
            b    bea    2025-03-01 2025-03-04 M17.11 0SRC0KZ
            c    cora   2025-03-01 2025-03-04 M16.11 0SRR019
        """,
        expect="""
            stay measure verdict factors
            a    THA_TKA index   index_tha,!two_procedures
            b    THA_TKA index   !index_tha
            c    THA_TKA no_row  -
        """,
    ),
    Rule(
        "A stay of several measures",
        "A stay may be an index admission of more than one measure, and a readmission of another.",
        stays="""
            stay in         out        dx     px
            a    2025-03-01 2025-03-04 J18.9  -
            b    2025-03-20 2025-03-28 I21.4  021009W
            c    2025-04-10 2025-04-12 E11.9  -
        """,
        expect="""
            stay measure verdict return outcome
            a    PN      index   b      unplanned
            b    AMI     index   c      unplanned
            b    CABG    index   c      unplanned
        """,
    ),
)
