"""The words of the field, each in a sentence or two: shown where they stand."""

from __future__ import annotations

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "program year": "The federal fiscal year in which payments are cut: FY2029 is October 1, 2028 to September 30, 2029.",
    "applicable period": "The discharges that a program year is earned by, two years since FY2027.",
    "payment reduction": "The share that Medicare takes off the base operating payment of every inpatient stay of the year, at most 3 %.",
    "payment adjustment factor": "One less the payment reduction: what every base operating payment is multiplied by.",
    "range": "The 90 % range: in nine of ten such forecasts the published figure lies inside.",
    "chance of a penalty": "How likely there is any payment reduction at all.",
    "measure": "One of the six conditions and procedures: heart attack (AMI), COPD, heart failure (HF), pneumonia, bypass surgery (CABG), "
    "hip and knee replacement (THA/TKA).",
    "index admission": "A stay that counts in a measure's denominator.",
    "unplanned readmission": "The first return within 30 days, to any acute hospital, unless the planned-readmission algorithm takes it "
    "out.",
    "predicted": "Mean risk of readmission of the measure's patients at this hospital.",
    "expected": "Mean risk of readmission of the same patients at an average hospital.",
    "ERR": "Excess readmission ratio: predicted divided by expected. Above the peer median it costs money.",
    "peer median": "The middle ERR of the hospitals in the same peer group, last published.",
    "peer group": "One of five equal groups of hospitals by dual proportion.",
    "dual proportion": "Share of a hospital's Medicare stays whose patient has full Medicaid benefits.",
    "contribution": "What a measure adds to the payment reduction: neutrality modifier x payment ratio x (ERR - peer median), at least "
    "zero.",
    "play of chance": "A measure below its peer median earns nothing back, so what chance has yet to bring adds more than it takes: the "
    "middle of all courses lies above the expected course.",
    "neutrality modifier": "A national factor that keeps total savings as they were before there were peer groups.",
    "DRG payment ratio": "The measure's share of the hospital's base operating payments.",
    "reliability": "How much of one avoided readmission reaches the predicted count, the rest being drawn towards the average; it grows "
    "with cases.",
    "break-even": "The fewest readmissions to avoid by the end of the period so that a penalty vanishes.",
    "stand-in": "A figure not yet published for the year; the last published one is used, and named.",
    "withheld": "Hidden from viewers without patient level: a count of 1 to 10 patients, or a figure that would give one away.",
    "25 cases": "A measure with fewer than 25 index admissions does not count.",
    "c-statistic": "How often, of a readmitted and another patient, the readmitted one had the higher expected risk; 0.5 is chance.",
    "risk-adjusted": "Observed over expected readmissions, times the national rate: what the rate would be with average patients.",
}
