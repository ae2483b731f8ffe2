//! What it takes to parse a text of SQL, known from its tokens before the parser is called.
//!
//! The parser tries a construct, and where that fails begins again behind the same word in another way: `CAST(` first as a
//! cast, then as a function of that name. What follows is read twice then, and inside of two such words four times, so
//! that a line of them takes longer than anybody waits.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// What ends at which token.
#[derive(PartialEq)]
enum Until {
    /// A closing bracket.
    Closed,
    /// `END`.
    End,
    /// A word or sign that no operand goes beyond.
    Operand,
    /// What ends the brackets around it.
    Around,
}

/// Tokens that the parser reads in the worst case, those that it reads again among them.
pub fn effort(tokens: &[TokenWithSpan]) -> u64 {
    let tokens = tokens.iter().map(|token| &token.token);
    let tokens: Vec<&Token> = tokens.filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let (mut effort, mut open) = (0_u64, vec![(Until::Closed, 1_u64)]);
    for (at, token) in tokens.iter().enumerate() {
        let (before, behind) = (at.checked_sub(1).map(|at| tokens[at]), tokens.get(at + 1).copied());
        let readings = open.last().map_or(1, |(_, readings)| *readings);
        effort = effort.saturating_add(readings);
        // A word behind none may be a name itself, and ends nothing.
        let ends = ends_operand(before) && !matches!(behind, Some(Token::LParen | Token::LBracket | Token::Period));
        let mut again = |until, times| open.push((until, readings.saturating_mul(times)));
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                again(Until::Closed, readings_in_brackets(before, behind))
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                while open.len() > 1 && open.pop().is_some_and(|(until, _)| until != Until::Closed) {}
            }
            Token::Comma => leave_operands(&mut open),
            Token::Word(word) => match word.keyword {
                Keyword::CASE => again(Until::End, 2),
                Keyword::END if ends => {
                    leave_operands(&mut open);
                    if open.last().is_some_and(|(until, _)| *until == Until::End) {
                        open.pop();
                    }
                }
                Keyword::AND | Keyword::OR | Keyword::WHEN | Keyword::THEN | Keyword::ELSE if ends_operand(before) => {
                    leave_operands(&mut open);
                }
                Keyword::NOT if !is_operand(before) => again(Until::Operand, 2),
                // A type, an interval or a column.
                Keyword::INTERVAL if !matches!(behind, Some(Token::SingleQuotedString(_))) => again(Until::Around, 3),
                _ => {}
            },
            _ => {}
        }
    }
    effort
}

fn leave_operands(open: &mut Vec<(Until, u64)>) {
    while open.last().is_some_and(|(until, _)| *until == Until::Operand) {
        open.pop();
    }
}

/// Whether an operand is complete with it.
fn ends_operand(before: Option<&Token>) -> bool {
    use Keyword::{AND, CASE, ELSE, INTERVAL, NOT, OR, THEN, WHEN};
    match before {
        Some(Token::Word(word)) => !matches!(word.keyword, AND | CASE | ELSE | INTERVAL | NOT | OR | THEN | WHEN),
        before => is_operand(before),
    }
}

/// Whether a `NOT` behind it belongs to what follows, as in `x NOT IN (1, 2)` and `x IS NOT NULL`.
fn is_operand(before: Option<&Token>) -> bool {
    match before {
        Some(Token::Word(word)) => matches!(word.keyword, Keyword::NoKeyword | Keyword::IS),
        Some(token) => {
            matches!(token, Token::RParen | Token::RBracket | Token::Number(..) | Token::SingleQuotedString(_))
        }
        None => false,
    }
}

/// How many times what is in brackets may be read.
fn readings_in_brackets(before: Option<&Token>, behind: Option<&Token>) -> u64 {
    let Some(Token::Word(Word { keyword, .. })) = before else { return 1 };
    let named = matches!(behind, Some(Token::Word(word)) if word.keyword == Keyword::NoKeyword);
    match keyword {
        // As `POSITION(a IN b)`, for which `a` is read on its own before, and as a function.
        Keyword::POSITION => 4,
        // A list, or a query.
        Keyword::IN if named || matches!(behind, Some(Token::Number(..) | Token::SingleQuotedString(_))) => 1,
        // A name that means nothing to the parser is a function's; the others are counted where they stand.
        Keyword::NoKeyword | Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::WHEN | Keyword::THEN => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::component::expression::check;

    /// What opens and closes one level.
    const LEVELS: [(&str, &str); 34] = [
        ("(", ")"),
        ("NOT (", ")"),
        ("NOT ", ""),
        ("-(NOT ", ")"),
        ("- ", ""),
        ("f(", ")"),
        ("CAST(", " AS INT)"),
        ("TRY_CAST(", " AS INT)"),
        ("SAFE_CAST(", " AS INT)"),
        ("ARRAY[", "]"),
        ("[", "]"),
        ("x[", "]"),
        ("ROW(", ")"),
        ("SUBSTRING(", " FROM 1)"),
        ("SUBSTRING(", ", 1)"),
        ("POSITION(", " IN x)"),
        ("POSITION(", ", x)"),
        ("CEIL(", ")"),
        ("FLOOR(", " TO DAY)"),
        ("TRIM(", ")"),
        ("EXTRACT(DAY FROM ", ")"),
        ("CONVERT(", ", INT)"),
        ("OVERLAY(", " PLACING x FROM 1)"),
        ("OVERLAY(", ", x)"),
        ("count(*) FILTER (WHERE ", ")"),
        ("count(*) OVER (ORDER BY ", ")"),
        ("CASE WHEN ", " THEN 1 END"),
        ("CASE ", " WHEN 1 THEN 1 END"),
        ("CASE - ", ""),
        ("INTERVAL ", ""),
        ("INTERVAL -(", ")"),
        ("x IN (", ")"),
        ("f(a := ", ")"),
        ("f(a VALUE ", ")"),
    ];

    /// Parses a text, and tells whether it passed; it may not take longer than a server can spare.
    fn parse(text: &str) -> bool {
        let began = Instant::now();
        let passed = check(text).is_ok();
        // Builds without optimization on a busy machine take some hundredths of a second.
        assert!(began.elapsed() < Duration::from_secs(1), "{:?} for {}", began.elapsed(), &text[..text.len().min(80)]);
        passed
    }

    #[test]
    fn whatever_is_nested_in_whatever_is_parsed_at_once_or_refused_at_once() {
        for (open, close) in LEVELS {
            for depth in [3, 8, 10, 12, 14, 17, 20, 30, 40, 48, 400] {
                for inside in ["x > 0", "a b c", "", "*", ") ("] {
                    parse(&format!("{}{inside}{}", open.repeat(depth), close.repeat(depth)));
                    // Never closed.
                    parse(&format!("{}{inside}", open.repeat(depth)));
                }
                for (other, end) in LEVELS {
                    let open = format!("{open}{other}").repeat(depth / 2);
                    parse(&format!("{open}a b{}", format!("{end}{close}").repeat(depth / 2)));
                }
            }
        }
        // What is long is read again as a whole.
        let long = "a + ".repeat(2_000);
        parse(&format!("{}{long} b c{}", "CAST(".repeat(9), " AS INT)".repeat(9)));
    }

    #[test]
    fn what_people_write_passes() {
        let list = (0..600).map(|at| format!("'product {at}'")).collect::<Vec<_>>().join(", ");
        for text in [
            "round(coalesce(sum(CASE WHEN (kind = 'a' OR NOT (paid AND (due > as_of))) THEN CAST(n AS DOUBLE) END), 0) / 7, 2)",
            "(((((((((((((((a + 1)))))))))))))))",
            "NOT (NOT (NOT (NOT (NOT (x > 0)))))",
            "CASE WHEN a THEN 1 WHEN b THEN 2 ELSE CASE WHEN c THEN 3 ELSE CASE WHEN d THEN 4 END END END",
            "upper(trim(lower(substring(trim(concat(CAST(round(sqrt(abs(x)), 1) AS TEXT), 'x')) FROM 2))))",
            "a BETWEEN 1 AND 2 AND NOT b AND NOT c AND NOT d AND NOT e AND NOT f AND NOT g AND NOT h AND NOT i AND NOT j",
            "as_of - INTERVAL '1 day' - INTERVAL '2 days' - INTERVAL '3 days' - INTERVAL '4 days' > day",
            "sum(value) / count(DISTINCT value)",
            &format!("count(*) FILTER (WHERE product IN ({list}))"),
        ] {
            assert!(parse(text), "{:?}", check(text));
        }
    }
}
