"""What synthetic patients have and what they come to hospital with: conditions, procedures and stays, with how common
each is.

Shares and prevalences are this project's own, chosen so that readmission rates, length of stay and payment ratios
come out near the published national ones; they describe no real hospital. Codes are ICD-10-CM and ICD-10-PCS without
dots.
"""

from __future__ import annotations

from typing import NamedTuple

from hrrp.program import MEASURES

# Groups of stays: the six measures in report order, then what belongs to no measure.
ACUTE, ELECTIVE, POST_ACUTE = range(len(MEASURES), len(MEASURES) + 3)
GROUPS: tuple[str, ...] = (*MEASURES, "ACUTE", "ELECTIVE", "POST_ACUTE")
AMI, COPD, HF, PN, CABG, THA_TKA = range(len(MEASURES))


class Condition(NamedTuple):
    """A comorbidity: interchangeable codes, and the share of patients who have it recorded, by group of stay.

    `prevalence` has seven shares: the six measures, then everything else. A chronic condition is recorded again on
    later stays and mostly also in claims before; an acute one belongs to one stay, and in the share `acquired` of the
    cases it was not present on admission. `exempt`: the code is exempt from present-on-admission reporting.
    """

    key: str
    codes: tuple[str, ...]
    chronic: bool
    prevalence: tuple[float, float, float, float, float, float, float]
    acquired: float = 0.0
    exempt: bool = False
    claims_only: bool = False
    first_stay_only: bool = False


class PastProcedure(NamedTuple):
    """A procedure of the year before, known from claims: `prevalence` as for a condition."""

    key: str
    code: str
    prevalence: tuple[float, float, float, float, float, float, float]


class Case(NamedTuple):
    """A kind of stay. `share` is within its group; `drg_weight` and `mean_days` are typical; `exclusion` is the
    reason for which the measure leaves it out, whatever else holds; `planned`: planned by the planned readmission
    algorithm.

    `present` and `acquired` are conditions that always come with it, present on admission or not.
    """

    group: int
    share: float
    principal: str
    drg: str
    drg_weight: float
    mean_days: float
    procedures: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    acquired: tuple[str, ...] = ()
    exclusion: str | None = None
    planned: bool = False
    first_stay_only: bool = False


# The seven shares of each: AMI, COPD, HF, PN, CABG, THA_TKA, everything else.
CONDITIONS: tuple[Condition, ...] = (
    Condition("diabetes", ("E119", "E1165", "E1122"), True, (0.54, 0.59, 0.64, 0.56, 0.48, 0.48, 0.26)),
    Condition("metastatic_cancer", ("C787", "C7951"), True, (0.03, 0.07, 0.05, 0.09, 0.01, 0.02, 0.02)),
    Condition("lung_cancer", ("C3490", "C259"), True, (0.03, 0.11, 0.03, 0.09, 0.01, 0.01, 0.02)),
    Condition("cancer", ("C189", "C679", "C8590"), True, (0.11, 0.18, 0.15, 0.19, 0.07, 0.15, 0.06)),
    Condition("polyp", ("D126", "D122"), True, (0.03, 0.05, 0.05, 0.05, 0.02, 0.06, 0.02)),
    Condition("malnutrition", ("E43", "E440", "E46"), True, (0.08, 0.23, 0.18, 0.31, 0.04, 0.02, 0.05)),
    Condition("morbid_obesity", ("E6601", "Z6841"), True, (0.13, 0.24, 0.30, 0.15, 0.15, 0.28, 0.06)),
    Condition("lipids_thyroid", ("E785", "E039", "E669"), True, (0.70, 0.55, 0.60, 0.50, 0.75, 0.50, 0.30)),
    Condition("fluid", ("E871", "E876", "E860", "E875"), False, (0.42, 0.59, 0.66, 0.73, 0.31, 0.19, 0.20), 0.20),
    Condition("other_endocrine", ("E213", "N2581", "E2740"), True, (0.06, 0.07, 0.12, 0.09, 0.03, 0.04, 0.02)),
    Condition("liver_biliary", ("K760", "K7460", "K8020"), True, (0.07, 0.11, 0.21, 0.12, 0.04, 0.10, 0.05)),
    Condition("pancreatitis", ("K861",), True, (0.007, 0.02, 0.013, 0.014, 0.003, 0.004, 0.005)),
    Condition("gi_bleed", ("K922", "K921"), False, (0.06, 0.07, 0.09, 0.09, 0.02, 0.02, 0.02), 0.20),
    Condition("other_gi", ("K219", "K5900", "K449", "K5730"), True, (0.54, 0.72, 0.66, 0.71, 0.42, 0.64, 0.28)),
    Condition("hematological", ("D469", "D619"), True, (0.011, 0.02, 0.03, 0.04, 0.005, 0.008, 0.006)),
    Condition("anemia", ("D649", "D509", "D631"), True, (0.46, 0.51, 0.66, 0.62, 0.31, 0.36, 0.18)),
    Condition("blood_loss", ("D62",), False, (0.08, 0.05, 0.08, 0.09, 0.47, 0.33, 0.05), 0.70),
    Condition("dementia", ("F0390", "G309"), True, (0.14, 0.21, 0.24, 0.39, 0.04, 0.05, 0.10)),
    Condition("drug_alcohol", ("F1020", "F1120"), True, (0.04, 0.18, 0.09, 0.10, 0.03, 0.04, 0.03)),
    Condition("major_psychiatric", ("F319", "F209", "F332"), True, (0.06, 0.16, 0.09, 0.12, 0.03, 0.06, 0.03)),
    Condition("depression", ("F32A", "F329"), True, (0.18, 0.37, 0.30, 0.33, 0.13, 0.29, 0.10)),
    Condition("anxiety", ("F419",), True, (0.18, 0.44, 0.27, 0.27, 0.14, 0.29, 0.10)),
    Condition("other_psychiatric", ("F4310", "F5101"), True, (0.04, 0.09, 0.06, 0.07, 0.03, 0.06, 0.02)),
    Condition("paralysis", ("I69351", "G8191"), True, (0.06, 0.07, 0.08, 0.12, 0.03, 0.02, 0.03)),
    Condition("neuropathy", ("G629", "G609"), True, (0.11, 0.21, 0.21, 0.17, 0.13, 0.22, 0.06)),
    Condition("respirator_status", ("Z9911", "Z930"), True, (0.004, 0.03, 0.009, 0.02, 0.001, 0.001, 0), 0, True),
    Condition("respiratory_failure", ("J9601", "J9621"), False, (0.18, 0.50, 0.40, 0.45, 0.12, 0.01, 0.06), 0.15),
    Condition("chronic_respiratory_failure", ("J9611",), True, (0.04, 0.41, 0.18, 0.20, 0.01, 0.01, 0.02)),
    Condition("hypoxemia", ("R0902",), False, (0.03, 0.09, 0.05, 0.10, 0.01, 0.04, 0.01)),
    Condition("heart_failure", ("I5032", "I5022", "I509"), True, (0.52, 0.67, 0.66, 0.55, 0.31, 0.13, 0.14)),
    Condition("acute_on_chronic_hf", ("I5033",), False, (0, 0, 0, 0, 0, 0, 0)),
    Condition("unstable_angina", ("I200", "I2489"), False, (0.08, 0.09, 0.15, 0.12, 0.05, 0.01, 0.02), 0.10),
    Condition("angina", ("I209", "I25119"), True, (0.14, 0.09, 0.15, 0.09, 0.21, 0.04, 0.03)),
    Condition("coronary", ("I2510", "I252", "I255"), True, (0.85, 0.42, 0.60, 0.35, 0.80, 0.18, 0.20)),
    Condition("valvular", ("I350", "I340"), True, (0.34, 0.21, 0.53, 0.28, 0.21, 0.12, 0.08)),
    Condition("hypertension", ("I10",), True, (0.40, 0.67, 0, 0.60, 0.36, 0.85, 0.35)),
    Condition("arrhythmia", ("I4891", "I480", "I4820"), True, (0.46, 0.55, 0.76, 0.62, 0.31, 0.31, 0.18)),
    Condition("conduction", ("R001", "I447"), False, (0.11, 0.05, 0.12, 0.07, 0.16, 0.04, 0.02), 0.40),
    Condition("other_heart", ("I517", "I5189"), True, (0.06, 0.09, 0.15, 0.07, 0.04, 0.02, 0.02)),
    Condition("stroke", ("I639",), False, (0.03, 0.04, 0.05, 0.05, 0.016, 0.006, 0.01), 0.20),
    Condition("carotid", ("I6529",), True, (0.08, 0.05, 0.08, 0.05, 0.13, 0.04, 0.02)),
    Condition("cerebrovascular", ("I679", "I672"), True, (0.06, 0.05, 0.06, 0.07, 0.05, 0.04, 0.02)),
    Condition("vascular", ("I739", "I70209"), True, (0.21, 0.26, 0.30, 0.22, 0.21, 0.12, 0.07)),
    Condition("hypotension", ("I959",), False, (0.17, 0.12, 0.21, 0.24, 0.16, 0.10, 0.05), 0.40),
    Condition("copd", ("J449", "J439"), True, (0.27, 0, 0.52, 0.57, 0.21, 0.19, 0.10)),
    Condition("copd_exacerbation", ("J441",), False, (0, 0, 0, 0, 0, 0, 0)),
    Condition("lung_fibrosis", ("J8410", "J849"), True, (0.014, 0.09, 0.05, 0.09, 0.01, 0.012, 0.008)),
    Condition("asthma", ("J45909",), True, (0.06, 0.14, 0.09, 0.12, 0.04, 0.13, 0.04)),
    # Pneumonia beside another principal diagnosis stays off stays outside the measures: beside sepsis it would be a PN
    # stay.
    Condition("pneumonia", ("J189",), False, (0.11, 0.34, 0.24, 0, 0.03, 0.008, 0), 0.20),
    Condition("aspiration", ("J690",), False, (0.03, 0.05, 0.03, 0.05, 0.01, 0.002, 0), 0.40),
    Condition("dialysis", ("Z992",), True, (0.07, 0.04, 0.09, 0.07, 0.03, 0.008, 0.02), 0, True),
    Condition("acute_kidney", ("N179",), False, (0.27, 0.26, 0.49, 0.40, 0.17, 0.04, 0.10), 0.25),
    Condition("chronic_kidney", ("N1830", "N184", "N189"), True, (0.37, 0.37, 0.66, 0.44, 0.25, 0.22, 0.14)),
    Condition("nephritis", ("N059",), True, (0.004, 0.006, 0.013, 0.007, 0.002, 0.002, 0.002)),
    Condition("other_urinary", ("N319", "R319", "N281"), True, (0.08, 0.14, 0.15, 0.17, 0.05, 0.08, 0.04)),
    Condition("urinary_infection", ("N390",), False, (0.11, 0.14, 0.18, 0.24, 0.03, 0.04, 0.05), 0.20),
    Condition("skin_ulcer", ("L89152", "L89153"), True, (0.03, 0.04, 0.08, 0.10, 0.01, 0.006, 0.03)),
    Condition("cellulitis", ("L03115", "L03116"), False, (0.03, 0.07, 0.11, 0.07, 0.02, 0.02, 0.02), 0.05),
    Condition("vertebral_fracture", ("S32010A", "M4856XA"), False, (0.007, 0.05, 0.016, 0.04, 0.002, 0.01, 0.01)),
    Condition("falls", ("Z9181",), True, (0.06, 0.14, 0.12, 0.25, 0.03, 0.22, 0.05), 0, True),
    Condition("major_symptoms", ("R1310", "R600"), False, (0.08, 0.14, 0.09, 0.17, 0.05, 0.36, 0.06)),
    Condition("pleural_effusion", ("J90",), False, (0.14, 0.12, 0.36, 0.33, 0.26, 0.004, 0.03), 0.20),
    Condition("atelectasis", ("J9811",), False, (0.06, 0.14, 0.08, 0.17, 0.26, 0.04, 0.02), 0.50),
    Condition("past_cabg", ("Z951",), True, (0.14, 0.12, 0.32, 0.14, 0.016, 0.08, 0.04), 0, True),
    Condition("past_valve", ("Z952",), True, (0.03, 0.018, 0.09, 0.04, 0.01, 0.02, 0.01), 0, True),
    Condition("past_angioplasty", ("Z955", "Z9861"), True, (0.30, 0.21, 0.30, 0.17, 0.23, 0.13, 0.06), 0, True),
    Condition("past_covid", ("Z8616",), True, (0.07, 0.12, 0.09, 0.14, 0.04, 0.10, 0.04), 0, True),
    Condition("covid_claim", ("U071",), False, (0.03, 0.05, 0.03, 0.05, 0.016, 0.04, 0.02), claims_only=True),
    Condition("covid", ("U071",), False, (0.006, 0.018, 0.009, 0.03, 0, 0, 0), first_stay_only=True),
    Condition("intestinal_infection", ("A0472",), False, (0.014, 0.03, 0.03, 0.05, 0.005, 0.004, 0.01), 0.30),
    Condition("infection_agent", ("B9620", "B370"), False, (0.04, 0.12, 0.09, 0.24, 0.01, 0.02, 0.04), 0.10),
    Condition("sepsis", ("A419",), False, (0.014, 0.04, 0.03, 0.17, 0.005, 0.002, 0), 0.25),
    Condition("severe_sepsis", ("R6520",), False, (0, 0, 0, 0, 0, 0, 0)),
    Condition("rheumatoid", ("M069", "M0579"), True, (0.04, 0.07, 0.05, 0.07, 0.03, 0.12, 0.03)),
    Condition("hip_deformity", ("Q6589",), True, (0, 0, 0, 0, 0, 0.006, 0)),
    Condition("sleep_apnea", ("G4733",), True, (0.17, 0.34, 0.30, 0.20, 0.17, 0.33, 0.09)),
    Condition("shock", ("R570",), False, (0.07, 0, 0.03, 0.009, 0.03, 0, 0.003), 0.20),
    Condition("encephalopathy", ("G9341",), False, (0.04, 0.07, 0.07, 0.12, 0.04, 0.01, 0.07), 0.20),
    # Beside the risk model: what every record also carries.
    Condition("smoking_history", ("Z87891",), True, (0.35, 0.60, 0.35, 0.35, 0.40, 0.25, 0.20), 0, True),
    Condition("long_term_drugs", ("Z7901", "Z7982"), True, (0.50, 0.35, 0.55, 0.35, 0.50, 0.30, 0.25), 0, True),
    Condition("do_not_resuscitate", ("Z66",), False, (0.08, 0.12, 0.16, 0.20, 0.01, 0.003, 0.07), 0, True),
    Condition("bone_joint", ("M179", "M810"), True, (0.15, 0.18, 0.20, 0.18, 0.15, 0.20, 0.15)),
    Condition("sleep_loss", ("G4700",), True, (0.12, 0.10, 0.12, 0.12, 0.14, 0.10, 0.08)),
)

PAST_PROCEDURES: tuple[PastProcedure, ...] = (
    PastProcedure("angioplasty", "027034Z", (0.03, 0.008, 0.02, 0.008, 0.01, 0.005, 0.006)),
    PastProcedure("bypass", "02100Z9", (0.006, 0.002, 0.008, 0.003, 0, 0.001, 0.002)),
    PastProcedure("valve_replacement", "02RF38Z", (0.004, 0.002, 0.012, 0.003, 0.001, 0.001, 0.002)),
    PastProcedure("ventilation", "5A1945Z", (0.004, 0.03, 0.01, 0.015, 0.001, 0.001, 0.004)),
)

_CATHETER, _STENT, _GRAFT, _PUMP = "4A023N7", "027034Z", "02100Z9", "5A1221Z"
_KNEE_R, _KNEE_L, _HIP_R, _HIP_L = "0SRC0J9", "0SRD0J9", "0SR904A", "0SRB04A"
_HF = ("acute_on_chronic_hf",)
_FLARE = ("copd_exacerbation",)
_LUNG = ("pneumonia",)

CASES: tuple[Case, ...] = (
    Case(AMI, 0.37, "I214", "322", 1.95, 2.8, (_STENT, _CATHETER)),
    Case(AMI, 0.34, "I214", "281", 0.95, 3.2),
    Case(AMI, 0.06, "I2109", "321", 2.9, 3.4, (_STENT, _CATHETER)),
    Case(AMI, 0.05, "I2102", "321", 2.9, 3.4, (_STENT, _CATHETER)),
    Case(AMI, 0.07, "I2111", "322", 1.95, 3.0, (_STENT, _CATHETER)),
    Case(AMI, 0.08, "I2119", "322", 1.95, 3.0, (_STENT, _CATHETER)),
    Case(AMI, 0.03, "I213", "280", 1.6, 4.4),
    Case(COPD, 0.60, "J441", "190", 1.12, 3.6),
    Case(COPD, 0.22, "J440", "190", 1.12, 4.2, present=_LUNG),
    Case(COPD, 0.04, "J449", "191", 0.87, 3.0),
    Case(COPD, 0.08, "J9601", "189", 1.19, 4.0, present=_FLARE),
    Case(COPD, 0.06, "J9621", "189", 1.19, 4.2, present=_FLARE),
    Case(HF, 0.22, "I110", "291", 1.27, 4.3, present=_HF),
    Case(HF, 0.45, "I130", "291", 1.27, 4.8, present=_HF),
    Case(HF, 0.12, "I5033", "291", 1.27, 4.2),
    Case(HF, 0.10, "I5023", "291", 1.27, 4.4),
    Case(HF, 0.05, "I5043", "291", 1.27, 4.6),
    Case(HF, 0.03, "I5021", "292", 0.9, 3.6),
    Case(HF, 0.03, "I509", "293", 0.68, 2.8),
    Case(HF, 0.002, "I5023", "001", 28.0, 24, ("02HA0QZ", _PUMP), exclusion="lvad_or_transplant"),
    Case(PN, 0.46, "J189", "194", 0.95, 3.6),
    Case(PN, 0.07, "J159", "193", 1.32, 4.6),
    Case(PN, 0.12, "J690", "177", 1.65, 5.0),
    Case(PN, 0.02, "J13", "193", 1.32, 4.8),
    Case(PN, 0.04, "J1289", "193", 1.32, 4.4),
    Case(PN, 0.04, "J1001", "194", 0.95, 3.8),
    Case(PN, 0.21, "A419", "871", 1.85, 5.4, present=_LUNG),
    Case(PN, 0.04, "A419", "871", 1.85, 6.0, present=("aspiration",)),
    Case(CABG, 0.46, "I2510", "236", 3.9, 6.2, (_GRAFT, "021209W", _PUMP), planned=True),
    Case(CABG, 0.36, "I25110", "234", 5.1, 7.4, (_GRAFT, "021109W", _PUMP)),
    Case(CABG, 0.10, "I25118", "235", 5.9, 8.0, (_GRAFT, "021109W", _PUMP, _CATHETER)),
    Case(CABG, 0.08, "I2510", "219", 7.6, 9.0, ("02RF08Z", _GRAFT, _PUMP), exclusion="not_isolated_cabg", planned=True),
    Case(THA_TKA, 0.27, "M1711", "470", 1.88, 1.6, (_KNEE_R,), planned=True),
    Case(THA_TKA, 0.27, "M1712", "470", 1.88, 1.6, (_KNEE_L,), planned=True),
    Case(THA_TKA, 0.17, "M1611", "470", 1.88, 1.7, (_HIP_R,), planned=True),
    Case(THA_TKA, 0.17, "M1612", "470", 1.88, 1.7, (_HIP_L,), planned=True),
    Case(THA_TKA, 0.015, "M170", "462", 3.2, 2.6, (_KNEE_R, _KNEE_L), planned=True),
    Case(THA_TKA, 0.010, "M1731", "470", 1.88, 1.8, (_KNEE_R,), planned=True),
    Case(THA_TKA, 0.005, "M1651", "470", 1.88, 1.8, (_HIP_R,), planned=True),
    Case(THA_TKA, 0.045, "S72001A", "522", 2.15, 4.6, (_HIP_R,), exclusion="fracture"),
    Case(THA_TKA, 0.025, "T84030A", "467", 3.4, 3.6, ("0SP90JZ", _HIP_R), exclusion="partial_or_revision"),
    Case(THA_TKA, 0.006, "T84032A", "468", 2.7, 3.0, (_KNEE_R,), exclusion="mechanical_complication"),
    Case(THA_TKA, 0.004, "C7951", "469", 3.1, 5.5, (_HIP_L,), exclusion="malignancy", planned=True),
    Case(
        THA_TKA,
        0.002,
        "M170",
        "462",
        3.2,
        3.4,
        (_KNEE_R, _KNEE_L, _HIP_R),
        exclusion="more_than_two_procedures",
        planned=True,
    ),
    Case(ACUTE, 0.085, "A419", "871", 1.85, 4.8),
    Case(ACUTE, 0.030, "A4151", "871", 1.85, 5.8, present=("severe_sepsis",)),
    # Near misses of PN: severe sepsis beside the pneumonia, and pneumonia that came in hospital.
    Case(ACUTE, 0.020, "A419", "871", 1.85, 6.6, present=("pneumonia", "severe_sepsis")),
    Case(ACUTE, 0.004, "A419", "871", 1.85, 7.4, acquired=("pneumonia",)),
    Case(ACUTE, 0.060, "N179", "682", 1.47, 4.2),
    Case(ACUTE, 0.055, "N390", "690", 0.79, 3.2),
    Case(ACUTE, 0.055, "K922", "377", 1.78, 4.2, ("0DJ08ZZ", "30233N1")),
    Case(ACUTE, 0.065, "I639", "064", 1.95, 4.6),
    Case(ACUTE, 0.055, "I4891", "308", 1.20, 3.4),
    Case(ACUTE, 0.035, "L03115", "603", 0.87, 3.6),
    Case(ACUTE, 0.045, "S72141A", "480", 3.05, 5.4, ("0QS636Z",)),
    Case(ACUTE, 0.030, "R55", "312", 0.83, 2.2),
    Case(ACUTE, 0.030, "U071", "177", 1.65, 5.4, first_stay_only=True),
    Case(ACUTE, 0.030, "K5732", "392", 0.79, 3.0),
    Case(ACUTE, 0.025, "K8590", "439", 0.89, 3.6),
    Case(ACUTE, 0.022, "K8000", "418", 1.67, 3.6, ("0FT44ZZ",)),
    Case(ACUTE, 0.035, "K56609", "388", 1.50, 4.4),
    Case(ACUTE, 0.030, "G459", "069", 0.81, 2.0),
    Case(ACUTE, 0.030, "E1165", "638", 0.87, 3.2),
    Case(ACUTE, 0.035, "E871", "641", 0.77, 3.0),
    Case(ACUTE, 0.030, "G9341", "070", 1.65, 4.8),
    Case(ACUTE, 0.025, "G40909", "101", 0.90, 3.0),
    Case(ACUTE, 0.018, "R079", "313", 0.72, 1.6),
    Case(ACUTE, 0.012, "I200", "311", 0.72, 1.8),
    Case(ACUTE, 0.030, "I2699", "175", 1.45, 3.8),
    Case(ACUTE, 0.025, "S3210XA", "552", 0.92, 3.4),
    Case(ACUTE, 0.025, "K529", "392", 0.79, 2.8),
    Case(ACUTE, 0.030, "R531", "948", 0.79, 3.2),
    Case(ACUTE, 0.030, "E1110", "638", 0.87, 3.2),
    Case(ELECTIVE, 0.17, "I2510", "322", 1.95, 1.4, (_STENT, _CATHETER), planned=True),
    Case(ELECTIVE, 0.15, "M48061", "460", 3.5, 2.8, ("0SG0071",), planned=True),
    Case(ELECTIVE, 0.13, "C182", "330", 2.55, 5.2, ("0DTF0ZZ",), planned=True),
    Case(ELECTIVE, 0.10, "I350", "267", 5.4, 2.4, ("02RF38Z",), planned=True),
    Case(ELECTIVE, 0.10, "I6521", "039", 1.15, 1.6, ("03CK0ZZ",), planned=True),
    Case(ELECTIVE, 0.10, "K8010", "419", 1.35, 2.0, ("0FT44ZZ",), planned=True),
    Case(ELECTIVE, 0.08, "N401", "714", 0.90, 1.4, ("0VB08ZZ",), planned=True),
    Case(ELECTIVE, 0.07, "C641", "657", 2.05, 2.8, ("0TT00ZZ",), planned=True),
    Case(ELECTIVE, 0.06, "Z5111", "847", 1.30, 3.2, ("3E04305",), planned=True),
    Case(ELECTIVE, 0.04, "C50911", "583", 1.75, 1.6, ("0HTT0ZZ",), planned=True),
    Case(POST_ACUTE, 1.00, "Z4789", "560", 1.00, 11.0),
)


class GroupTraits(NamedTuple):
    """How stays of a group go: share of first stays, deaths, what follows, how strongly winter brings them."""

    share: float
    dies_in_hospital: float
    dies_after: float
    leaves_against_advice: float
    transferred_in: float
    planned_return: float
    late_return: float
    winter: float
    mean_age: float
    # After an unplanned return falls due: the groups it belongs to (AMI, COPD, HF, PN, the rest is ACUTE).
    returns: tuple[float, float, float, float]
    # Share of unplanned returns, for stays outside the measures only: within them the model decides.
    unplanned_return: float = 0.0


TRAITS: tuple[GroupTraits, ...] = (
    GroupTraits(0.034, 0.045, 0.03, 0.012, 0.14, 0.070, 0.06, 0.05, 77, (0.12, 0.02, 0.18, 0.05)),
    GroupTraits(0.034, 0.022, 0.05, 0.014, 0.01, 0.012, 0.12, 0.22, 76, (0.02, 0.33, 0.10, 0.13)),
    GroupTraits(0.064, 0.030, 0.07, 0.010, 0.02, 0.020, 0.12, 0.12, 80, (0.03, 0.04, 0.36, 0.06)),
    GroupTraits(0.060, 0.055, 0.07, 0.008, 0.015, 0.012, 0.08, 0.28, 79, (0.02, 0.07, 0.08, 0.18)),
    GroupTraits(0.010, 0.018, 0.01, 0.001, 0.10, 0.015, 0.03, 0.0, 73, (0.02, 0.01, 0.13, 0.06)),
    GroupTraits(0.043, 0.001, 0.003, 0.0005, 0.0, 0.012, 0.02, 0.0, 74, (0.02, 0.01, 0.04, 0.05)),
    GroupTraits(0.620, 0.030, 0.05, 0.010, 0.015, 0.012, 0.05, 0.03, 78, (0.02, 0.03, 0.06, 0.08), 0.12),
    GroupTraits(0.135, 0.006, 0.01, 0.001, 0.0, 0.010, 0.02, 0.0, 74, (0.02, 0.02, 0.04, 0.05), 0.06),
    GroupTraits(0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 78, (0, 0, 0, 0)),
)
