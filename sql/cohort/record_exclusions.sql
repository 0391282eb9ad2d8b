-- Judged stays that cannot be index admissions because of who was admitted, where, and who paid: implausible records, other kinds of
-- hospital, quarters under an extraordinary circumstances exception, other payers, persons under 65.
with

judged as (
    select
        period_stays.program_year,
        period_stays.measure,
        period_stays.stay_key,
        stays.* exclude (stay_key)
    from cohort.period_stays
    inner join cohort.stays using (stay_key)
),

-- A person who died in hospital is not admitted afterwards.
died_before_later_stays as (
    select died.stay_key
    from cohort.stays as died
    inner join cohort.stays as later
        on
            died.person_key = later.person_key
            and died.stay_key < later.stay_key
            and died.discharge_date <= later.admit_date
    where died.ended = 'died'
),

-- Data sanity: age over 115, unknown sex, unreliable death dates (admission after death, in-hospital death followed by later
-- stays), stays longer than a year.
implausible_record as (
    select
        program_year,
        measure,
        stay_key,
        'implausible_record' as reason
    from judged
    where
        age > $maximum_age
        or sex is null
        or admit_date > death_date
        or discharge_date - admit_date > $longest_stay_days
        or stay_key in (select died_before_later_stays.stay_key from died_before_later_stays)
),

-- Short-term acute-care hospital; stays at critical access hospitals are never index stays.
not_short_term_acute as (
    select
        program_year,
        measure,
        stay_key,
        'not_short_term_acute' as reason
    from judged
    where not is_index_hospital
),

-- A hospital with an approved exception has the named quarters dropped, under its number of then or of today.
excluded_quarter as (
    select distinct
        judged.program_year,
        judged.measure,
        judged.stay_key,
        'excluded_quarter' as reason
    from judged
    inner join staging.excluded_quarters
        on
            judged.discharge_date between excluded_quarters.quarter_start and excluded_quarters.quarter_end
            and excluded_quarters.ccn in (judged.ccn, judged.former_ccn)
),

-- Paid by Medicare fee for service or, in the years that count it, by Medicare Advantage; a payer that is not known passes.
payer as (
    select
        judged.program_year,
        judged.measure,
        judged.stay_key,
        'payer' as reason
    from judged
    inner join reference.program_years using (program_year)
    where
        judged.payer <> 'FFS'
        and not (judged.payer = 'MA' and program_years.medicare_advantage)
),

-- Age at admission >= 65.
age as (
    select
        program_year,
        measure,
        stay_key,
        'age' as reason
    from judged
    where age < $minimum_age
)

select * from implausible_record
union all
select * from not_short_term_acute
union all
select * from excluded_quarter
union all
select * from payer
union all
select * from age
