//! The functions that a component's SQL may call: those that a score may need, give the same result for the same rows, and
//! make nothing larger than what they are given.

use super::problem::{Fault, nearest};

/// The functions, by what they are for. `docs/sql.md` lists them too.
pub const ALLOWED: [(&str, &str); 7] = [
    (
        "aggregates",
        "avg bit_and bit_or bit_xor bool_and bool_or corr count covar covar_pop covar_samp \
         first_value last_value max mean median min percentile_cont quantile_cont regr_avgx regr_avgy regr_count \
         regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp sum var var_pop \
         var_population var_samp var_sample",
    ),
    ("choosing", "coalesce greatest ifnull least nanvl nullif nvl nvl2"),
    ("numbers", "abs cbrt ceil exp floor isnan iszero ln log log10 log2 pow power round signum sqrt tanh trunc"),
    (
        "dates and times",
        "date_bin date_format date_part date_trunc datepart datetrunc extract from_unixtime make_date to_char \
         to_date to_timestamp to_timestamp_micros to_timestamp_millis to_timestamp_nanos to_timestamp_seconds \
         to_unixtime",
    ),
    (
        "text",
        "btrim char_length character_length concat concat_ws contains ends_with instr left length lower ltrim \
         octet_length position replace right rtrim split_part starts_with strpos substr substring trim upper",
    ),
    ("patterns", "regexp_count regexp_instr regexp_like regexp_match regexp_replace"),
    (
        "lists and structs",
        "array_contains array_element array_has array_has_all array_has_any array_length array_max array_min \
         array_position arrays_overlap cardinality empty get_field list_contains list_element list_has list_has_all \
         list_has_any list_length list_max list_position make_array make_list",
    ),
];

/// What to write in place of functions that there are elsewhere, or that are left out.
const INSTEAD: [(&str, &str); 23] = [
    (
        "datediff date_diff timestampdiff timestamp_diff days_between age julianday",
        "subtract dates, which gives days: `CAST(as_of AS DATE) - CAST(day AS DATE)`",
    ),
    (
        "dateadd date_add adddate date_sub datesub timestampadd timestamp_sub add_months",
        "add an interval: `day + INTERVAL '7 days'`",
    ),
    (
        "year quarter month week day dayofmonth dayofweek dayofyear weekday weekofyear hour minute second \
         months_between",
        "take a part of the date: `date_part('month', day)`",
    ),
    ("if iif decode choose", "`CASE WHEN x > 0 THEN 1 ELSE 0 END`"),
    ("isnull zeroifnull nz default", "`coalesce(x, 0)`"),
    ("div0 div0null safe_divide try_divide", "`a / nullif(b, 0)`"),
    ("mod modulo", "`a % b`"),
    ("countif count_if", "`count(*) FILTER (WHERE x > 0)`"),
    ("sumif sum_if averageif avg_if", "`sum(x) FILTER (WHERE x > 0)`"),
    ("approx_distinct count_distinct uniq nunique approx_count_distinct", "`count(DISTINCT x)`"),
    (
        "approx_percentile_cont approx_percentile_cont_with_weight approx_quantile approx_quantiles \
         percentile_approx percentile quantile percentile_disc quantile_disc approx_percentile",
        "`percentile_cont(0.9) WITHIN GROUP (ORDER BY x)`, which does not depend on the order of rows",
    ),
    ("approx_median", "`median(x)`, which does not depend on the order of rows"),
    (
        "nth_value any_value arbitrary first last arg_max argmax max_by arg_min argmin min_by mode top",
        "`max(x)`, or `last_value(x ORDER BY time, x)`",
    ),
    (
        "array_agg string_agg listagg group_concat collect_list collect_set list json_agg",
        "`count(DISTINCT x)` counts, `max(x)` chooses; a list of all rows is no score",
    ),
    (
        "encode hex to_hex",
        "each makes a text twice as long, and one inside another more; a key of 16 bytes is read as a UUID without it",
    ),
    ("len datalength char", "`length(x)`"),
    ("charindex locate indexof", "`strpos(text, part)`"),
    ("ucase lcase initcap proper", "`upper(x)` or `lower(x)`"),
    (
        "regexp_extract regexp_substr regexp_matches rlike regexp_contains regexp",
        "`regexp_like(x, 'pattern')`, or `regexp_match(x, '(pattern)')[1]`",
    ),
    (
        "strftime format_date formatdatetime strptime str_to_date parse_date parse_datetime cdate",
        "`to_char(day, '%Y-%m')`, or the other way round `to_date(text, '%d/%m/%Y')`",
    ),
    ("to_number to_decimal to_double int integer float double number str cstr cint", "`TRY_CAST(x AS DOUBLE)`"),
    (
        "generate_series range unnest explode flatten",
        "one row has to stay one row; look into a list with `array_has(list, 'x')` or `array_length(list)`",
    ),
    (
        "row_number rank dense_rank percent_rank cume_dist ntile lag lead",
        "there are no window functions; use an aggregate, such as `max(x)`",
    ),
];

/// Functions whose value is another one on every run.
const OF_THE_MOMENT: &str = "clock_timestamp curdate current_date current_time current_timestamp getdate localtime localtimestamp now rand \
    random sysdate today uuid";

/// All of them.
fn allowed() -> impl Iterator<Item = &'static str> + Clone {
    ALLOWED.iter().flat_map(|(_, names)| names.split_whitespace())
}

fn names(list: &str, name: &str) -> bool {
    list.split_whitespace().any(|listed| listed == name)
}

/// Whether a function may be called, by its name in lower case.
pub fn is_allowed(name: &str) -> bool {
    allowed().any(|allowed| allowed == name)
}

/// Refuses a function that is not allowed, with what to write in its place.
///
/// # Errors
/// Where it is not.
pub fn admit(written: &str) -> Result<(), Fault> {
    let name = written.to_lowercase();
    if is_allowed(&name) {
        return Ok(());
    }
    if names(OF_THE_MOMENT, &name) {
        let message = format!("`{name}()` gives another value on every run, so the same input would score differently");
        return Err(Fault::new(message, Some("for the time of the run, use `as_of`".to_owned())));
    }
    let instead = INSTEAD.iter().find(|(list, _)| names(list, &name));
    let hint = match instead {
        Some((_, code)) if code.starts_with('`') => format!("write {code}"),
        Some((_, instead)) => (*instead).to_owned(),
        None => {
            let near = nearest(&name, allowed()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            format!("{near}docs/sql.md lists the functions that there are")
        }
    };
    Err(Fault::new(format!("`{written}()` is not among the functions of a component's SQL"), Some(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_told_once_and_in_order() {
        for (kind, names) in ALLOWED {
            assert!(names.split_whitespace().is_sorted(), "{kind}: {names:?}");
        }
        let mut all: Vec<&str> = allowed().collect();
        all.extend(INSTEAD.iter().flat_map(|(names, _)| names.split_whitespace()));
        all.extend(OF_THE_MOMENT.split_whitespace());
        let many = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), many, "no name is both allowed and refused");
    }

    #[test]
    fn what_is_refused_comes_with_what_to_write() {
        let hint = |name| admit(name).unwrap_err().hint.unwrap();
        assert!(hint("datediff").contains("subtract dates"), "{}", hint("datediff"));
        assert!(!hint("DATEDIFF").contains("date_bin"));
        assert!(hint("round_up").contains("did you mean `round`?"), "{}", hint("round_up"));
        assert!(hint("zebra").contains("docs/sql.md"));
        assert!(hint("now").contains("as_of"));
        for name in [
            "repeat",
            "lpad",
            "rpad",
            "levenshtein",
            "array_repeat",
            "array_resize",
            "generate_series",
            "space",
            "encode",
        ] {
            assert!(admit(name).is_err(), "{name}");
        }
        assert_eq!(admit("Coalesce"), Ok(()));
    }
}
