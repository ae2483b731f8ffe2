//! The problems of a component: as messages, and as the details of a status.

use tonic::Status;
use tonic_types::StatusExt;

use crate::component::Problem;
use crate::shown::HINT;
use crate::wire::proto::{ComponentProblem, PROBLEMS};

/// Reads the problems that a status has room for, and how many there are.
pub fn read_problems(status: &Status) -> (Vec<Problem>, usize) {
    let details = status.get_error_details();
    let count = details.error_info().and_then(|info| info.metadata.get(PROBLEMS)?.parse().ok()).unwrap_or(0);
    let violations = details.bad_request().filter(|_| count > 0).map(|told| told.field_violations.as_slice());
    let read = |violation: &tonic_types::FieldViolation| parse_problem(&violation.field, &violation.description);
    (violations.unwrap_or_default().iter().filter_map(read).collect(), count)
}

/// `FILE:LINE:COLUMN: MESSAGE` with its hint, or `FILE: MESSAGE` where the file as a whole is meant.
fn parse_problem(path: &str, told: &str) -> Option<Problem> {
    let (told, hint) = told.split_once(HINT).map_or((told, None), |(told, hint)| (told, Some(hint.to_owned())));
    // The file may have colons in its name, and so may the message.
    let placed = told.match_indices(": ").find_map(|(at, _)| {
        let mut place = told[..at].rsplitn(3, ':');
        let (column, line) = (place.next()?.parse().ok()?, place.next()?.parse().ok()?);
        Some((place.next()?, line, column, &told[at + 2..]))
    });
    let (file, line, column, message) = match placed {
        Some(placed) => placed,
        None => told.split_once(": ").map(|(file, message)| (file, 0, 0, message))?,
    };
    let (file, path, message) = (file.to_owned(), path.to_owned(), message.to_owned());
    Some(Problem { file, line, column, path, message, hint })
}

/// A problem as a message.
pub fn convert_problem(problem: &Problem) -> ComponentProblem {
    // A file of more than four billion lines is refused long before.
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    ComponentProblem {
        file: problem.file.clone(),
        line: number(problem.line),
        column: number(problem.column),
        path: problem.path.clone(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}

impl From<ComponentProblem> for Problem {
    fn from(told: ComponentProblem) -> Self {
        let ComponentProblem { file, line, column, path, message, hint } = told;
        Self { file, line: line as usize, column: column as usize, path, message, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_back_as_it_was_told() {
        for (file, line, column) in [("component.yaml", 12, 3), ("c: a.yaml", 1, 1), ("C:/c.yaml", 0, 0)] {
            for hint in [None, Some("did you mean `key`?".to_owned())] {
                let message = "input `usage`: 12:30: found: nothing".to_owned();
                let path = "inputs.usage.key".to_owned();
                let told = Problem { file: file.to_owned(), line, column, path, message, hint };
                assert_eq!(parse_problem(&told.path, &told.as_it_is()), Some(told));
            }
        }
        assert_eq!(parse_problem("as_of", "as_of is out of range"), None);
    }
}
