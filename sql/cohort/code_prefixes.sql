-- Every code that occurs with each of its prefixes, so that a list of prefixes meets the codes in an equality.
select
    code_system,
    code,
    unnest(list_transform(range(1, length(code) + 1), lambda characters: left(code, characters))) as code_prefix
from cohort.codes_in_use
