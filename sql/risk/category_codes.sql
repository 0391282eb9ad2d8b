-- The diagnosis codes that occur with the risk variables that they set through their condition categories (CC), and whether they do
-- so only through complications of care.
with

categories as (
    select
        cc_icd10cm.code,
        cc_icd10cm.cc
    from reference.cc_icd10cm
    semi join (
        select code
        from cohort.codes_in_use
        where code_system = 'ICD10CM'
    ) as in_use using (code)
),

-- Codes that a variable's definition takes out of its categories.
taken_out as (
    select
        measure,
        variable_key,
        code
    from risk.variable_codes
    where place = 'excluded_from_cc'
)

select
    risk_variable_ccs.measure,
    risk_variable_ccs.variable_key,
    categories.code,
    bool_and(risk_variable_ccs.complication_of_care) as only_complication_of_care
from categories
inner join reference.risk_variable_ccs using (cc)
anti join taken_out
    on
        risk_variable_ccs.measure = taken_out.measure
        and risk_variable_ccs.variable_key = taken_out.variable_key
        and categories.code = taken_out.code
group by risk_variable_ccs.measure, risk_variable_ccs.variable_key, categories.code
order by all
