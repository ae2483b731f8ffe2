//! Syntax of the SQL that a component may contain; what the names in it mean is checked against the inputs later.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Visit, Visitor, visit_expressions};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::scorecard::Expression;

/// Longest SQL text taken, in bytes.
const LONGEST: usize = 10_000;

/// Operations inside of one another: each is a call when the expression is evaluated, and a stack is not endless.
const DEEPEST: usize = 200;

/// Checks that a text is one SQL expression without subqueries.
///
/// # Errors
/// Says what is wrong with it, in words for whoever wrote it.
pub fn check(text: &str) -> Result<Expression, String> {
    if text.len() > LONGEST {
        return Err(format!("the SQL expression is {} bytes long, at most {LONGEST} are taken", text.len()));
    }
    let spoken = |error: &dyn std::fmt::Display| {
        let whole = error.to_string();
        let detail = whole.trim_start_matches("sql parser error: ").replace(" at Line: 1, Column: ", " at character ");
        match detail.strip_suffix(", found: EOF").map(|expected| expected.trim_start_matches("Expected: ")) {
            Some(expected) => format!("not a SQL expression: it ends where {expected} should follow"),
            None => format!("not a SQL expression: {detail}"),
        }
    };
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(text).map_err(|e| spoken(&e))?;
    let expression = parser.parse_expr().map_err(|e| spoken(&e))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(format!("not one SQL expression: `{}` is left over behind it", next.token));
    }
    let mut depth = Depth { now: 0 };
    if expression.visit(&mut depth).is_break() {
        return Err(format!(
            "more than {DEEPEST} operations inside of one another: shorten the expression, or compute a part of it \
             in the input"
        ));
    }
    let subquery = visit_expressions(&expression, |part| match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if subquery.is_break() {
        return Err("subqueries are not allowed: an expression reaches only its own input's columns".to_owned());
    }
    Ok(Expression(text.to_owned()))
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
        for text in ["a + 1", "count(*) FILTER (WHERE priority = 'urgent')", "CASE WHEN x THEN 1 END", "d > now()"] {
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
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
