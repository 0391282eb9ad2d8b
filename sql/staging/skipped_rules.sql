-- Every rule that cannot be applied because an optional input is missing, and what follows from that for the results.
with

absent as (
    select input
    from intake.inputs
    where not present
)

select
    optional_inputs.rule,
    optional_inputs.input as missing_input,
    optional_inputs.consequence
from reference.optional_inputs
inner join absent using (input)
-- A second input can stand in for the first: payer for enrollment, the certification number for the kind of hospital.
where
    optional_inputs.stand_in is null
    or optional_inputs.stand_in in (select stand_ins.input from absent as stand_ins)
order by optional_inputs.rule, optional_inputs.input
