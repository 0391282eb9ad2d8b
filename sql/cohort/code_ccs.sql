-- The AHRQ CCS category of every code that occurs: 2019.1 with the gap list for newer diagnosis codes. A newer procedure code
-- stays without a category unless pcs_gap says otherwise.
with

diagnosis_categories as (
    select
        'CCS_CM' as ccs_system,
        codes_in_use.code_system,
        codes_in_use.code,
        ccs_icd10cm.ccs
    from cohort.codes_in_use
    inner join reference.ccs_icd10cm using (code)
    where codes_in_use.code_system = 'ICD10CM'
),

procedure_categories as (
    select
        'CCS_PCS' as ccs_system,
        codes_in_use.code_system,
        codes_in_use.code,
        coalesce(
            ccs_icd10pcs.ccs,
            case when $pcs_gap = 'unanimous' then ccs_gap_icd10pcs.ccs end
        ) as ccs
    from cohort.codes_in_use
    left join reference.ccs_icd10pcs using (code)
    left join reference.ccs_gap_icd10pcs using (code)
    where codes_in_use.code_system = 'ICD10PCS'
)

select * from diagnosis_categories
union all
select * from procedure_categories
where ccs is not null
