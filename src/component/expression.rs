//! Syntax of the SQL that a component may contain; what the names in it mean is checked against the inputs later.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Visit, Visitor, visit_expressions};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::problem::Fault;
use super::{functions, nesting};
use crate::scorecard::Expression;

/// Longest SQL text taken, in bytes.
const LONGEST: usize = 10_000;

/// Operations inside of one another: each is a call when the expression is evaluated, and a stack is not endless.
const DEEPEST: usize = 200;

/// Tokens that the parser may have to read, those that it reads again among them: a few thousandths of a second.
const MOST_EFFORT: u64 = 20_000;

/// Checks that a text is one SQL expression without subqueries, of functions that are allowed.
///
/// # Errors
/// Says what is wrong with it, in words for whoever wrote it.
pub fn check(text: &str) -> Result<Expression, Fault> {
    let refused = |message: String, hint: &str| Err(Fault::new(message, Some(hint.to_owned())));
    if text.len() > LONGEST {
        let message = format!("the SQL expression is {} bytes long, at most {LONGEST} are taken", text.len());
        return refused(message, SHORTEN);
    }
    let spoken = |error: &dyn std::fmt::Display| {
        let whole = error.to_string();
        let detail = whole.trim_start_matches("sql parser error: ").replace(" at Line: 1, Column: ", " at character ");
        let message = match detail.strip_suffix(", found: EOF") {
            Some(expected) => {
                let expected = expected.trim_start_matches("Expected: ");
                format!("not a SQL expression: it ends where {expected} should follow")
            }
            None => format!("not a SQL expression: {detail}"),
        };
        Fault::new(message, None)
    };
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|e| spoken(&e))?;
    refuse_words(&tokens)?;
    if nesting::effort(&tokens) > MOST_EFFORT {
        return refused("too much is nested in this SQL expression".to_owned(), SHORTEN);
    }
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(|e| spoken(&e))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let message = format!("not one SQL expression: `{}` is left over behind it", next.token);
        return Err(Fault::new(message, None));
    }
    if expression.visit(&mut Depth { now: 0 }).is_break() {
        return refused(format!("more than {DEEPEST} operations inside of one another"), SHORTEN);
    }
    let looked_through = visit_expressions(&expression, |part| match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            ControlFlow::Break(Fault::new(SUBQUERY, None))
        }
        Expr::Function(call) => match functions::admit(&call.name.to_string()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(fault) => ControlFlow::Break(fault),
        },
        _ => ControlFlow::Continue(()),
    });
    match looked_through {
        ControlFlow::Break(fault) => Err(fault),
        ControlFlow::Continue(()) => Ok(Expression(text.to_owned())),
    }
}

const SUBQUERY: &str = "subqueries are not allowed: an expression reaches only its own input's columns";

const SHORTEN: &str = "shorten the expression, or compute a part of it in the input";

/// Refuses words and signs that no expression needs, and that the parser would try in several ways.
fn refuse_words(tokens: &[TokenWithSpan]) -> Result<(), Fault> {
    let tokens = tokens.iter().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let tokens: Vec<&Token> = tokens.collect();
    let keyword = |token: &Token| match token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    };
    let before_value = [Keyword::NOT, Keyword::DISTINCT, Keyword::ALL, Keyword::CASE];
    for (at, token) in tokens.iter().enumerate() {
        // As in `f(name VALUE 1)`; a column may have that name.
        let names_an_argument = keyword(token) == Some(Keyword::VALUE)
            && at > 1
            && matches!(tokens[at - 2], Token::LParen | Token::Comma)
            && keyword(tokens[at - 1]).is_some_and(|before| !before_value.contains(&before));
        if keyword(token) == Some(Keyword::SELECT) {
            return Err(Fault::new(SUBQUERY, None));
        }
        if names_an_argument || matches!(token, Token::RArrow | Token::Assignment) {
            let hint = "arguments have no names; `>=` compares, and so does `=`".to_owned();
            return Err(Fault::new(format!("`{token}` is not allowed here"), Some(hint)));
        }
    }
    Ok(())
}

/// Counts how deep it is, and breaks where that is too deep.
struct Depth {
    now: usize,
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, part: &Expr) -> ControlFlow<()> {
        self.now += levels(part);
        if self.now > DEEPEST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, part: &Expr) -> ControlFlow<()> {
        self.now -= levels(part);
        ControlFlow::Continue(())
    }
}

/// How many operations a part is made into.
fn levels(part: &Expr) -> usize {
    match part {
        Expr::CompoundFieldAccess { access_chain, .. } => 1 + access_chain.len(),
        Expr::CompoundIdentifier(names) => names.len(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalar_and_aggregate_expressions_pass() {
        for text in ["a + 1", "count(*) FILTER (WHERE priority = 'urgent')", "CASE WHEN x THEN 1 END", "d > as_of"] {
            assert_eq!(check(text), Ok(Expression(text.to_owned())));
        }
    }

    #[test]
    fn depth_has_a_limit_in_whatever_shape_it_comes() {
        assert!(check(&format!("a{}", " + a".repeat(150))).is_ok());
        for deep in [
            format!("a{}", "+a".repeat(4_900)),
            format!("a{}", " IS NULL".repeat(1_200)),
            format!("a{}", "::int".repeat(1_900)),
            format!("{}a{}", "(".repeat(4_000), ")".repeat(4_000)),
            format!("{}a", "NOT ".repeat(2_400)),
            format!("{}a", "- ".repeat(4_900)),
            format!("{}a{}", "f(".repeat(3_000), ")".repeat(3_000)),
            format!("{}a{}", "CASE WHEN ".repeat(700), " THEN 1 END".repeat(100)),
            format!("a{}", "[1]".repeat(3_000)),
        ] {
            assert!(check(&deep).is_err(), "{}", &deep[..40]);
        }
    }

    #[test]
    fn anything_else_is_told() {
        for (text, part) in [
            ("a +", "not a SQL expression"),
            ("a b c", "`b` is left over"),
            ("a = 'open", "not a SQL expression"),
            ("(SELECT 1)", "subqueries"),
            ("a IN (SELECT b FROM c)", "subqueries"),
            ("a; DROP TABLE b", "`;` is left over"),
            ("a > 1 AND d > now()", "another value on every run"),
            ("datediff(a, b)", "not among the functions"),
        ] {
            let error = check(text).unwrap_err().message;
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
