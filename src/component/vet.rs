//! Bounds of a YAML text: its size, its depth, and what its aliases grow to, before anything is built of it.
//!
//! A few lines of aliases to aliases can stand for more values than there is memory. Events of the text are counted here,
//! an alias for as many as its anchor, and only a text within bounds is read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use saphyr_parser::{Event, Parser};

use super::position::Place;
use crate::regular;

/// Longest text, in bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// Most values, those that aliases stand for among them.
const MOST_VALUES: usize = 20_000;

/// Mappings and lists inside of one another.
const DEEPEST: usize = 50;

/// Why a text is not read.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// Where, as far as that is known.
    pub place: Place,
    /// What is wrong with it.
    pub message: String,
    /// The way out.
    pub hint: String,
}

/// Reads a file that is not longer than a text may be.
///
/// # Errors
/// Where it is longer, or cannot be read.
pub fn read_text(path: &Path) -> io::Result<String> {
    bounded(regular::open(path)?)
}

/// The same of whatever the command line names, which may be a pipe.
///
/// # Errors
/// Where it cannot be read, or is too long.
pub fn read_named(path: &Path) -> io::Result<String> {
    bounded(File::open(path)?)
}

fn bounded(file: File) -> io::Result<String> {
    let mut text = String::new();
    // One byte more than there may be shows that there are more, whatever the size of what is read.
    file.take(MOST_BYTES as u64 + 1).read_to_string(&mut text)?;
    if text.len() > MOST_BYTES {
        let message = format!("it has more than {MOST_BYTES} bytes, which no component needs");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// What an anchor stands for.
#[derive(Clone, Copy)]
struct Extent {
    values: usize,
    depth: usize,
}

/// A mapping or list that is not at its end.
struct Open {
    anchor: usize,
    before: usize,
    depth: usize,
}

/// Whether a text is within bounds. One that this parser cannot read is left to the other one, which says why.
///
/// # Errors
/// Where it is not.
pub fn vet(text: &str) -> Result<(), OutOfBounds> {
    let refused = |place, message: String, hint: &str| Err(OutOfBounds { place, message, hint: hint.to_owned() });
    if text.len() > MOST_BYTES {
        let message = format!("the text is {} bytes long, at most {MOST_BYTES} are taken", text.len());
        return refused((0, 0), message, "a component is a page or two; data belongs into its inputs");
    }
    let (mut values, mut open, mut anchors) = (0_usize, Vec::<Open>::new(), HashMap::<usize, Extent>::new());
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) if error.info().contains("recursion limit") => return refused((0, 0), too_deep(), DEPTH_HINT),
            // Without anchors nothing grows, and the other parser has a limit of depth itself.
            Err(_) if !(text.contains('&') && text.contains('*')) => return Ok(()),
            Err(error) => {
                let place = (error.marker().line(), error.marker().col() + 1);
                return refused(place, format!("not YAML: {}", error.info()), "check the text at this place");
            }
        };
        let place = (span.start.line(), span.start.col() + 1);
        let (anchor, extent) = match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.push(Open { anchor, before: values, depth: 0 });
                values += 1;
                if open.len() > DEEPEST {
                    return refused(place, too_deep(), DEPTH_HINT);
                }
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(ended) => (ended.anchor, Extent { values: values - ended.before, depth: ended.depth + 1 }),
                None => continue,
            },
            Event::Scalar(_, _, anchor, _) => {
                values += 1;
                (anchor, Extent { values: 1, depth: 0 })
            }
            Event::Alias(anchor) => match anchors.get(&anchor) {
                Some(extent) => {
                    values = values.saturating_add(extent.values);
                    (0, *extent)
                }
                None => return refused(place, "an alias inside of what it stands for".to_owned(), ALIAS_HINT),
            },
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, extent);
        }
        if open.len() + extent.depth > DEEPEST {
            return refused(place, too_deep(), DEPTH_HINT);
        }
        if let Some(around) = open.last_mut() {
            around.depth = around.depth.max(extent.depth);
        }
        if values > MOST_VALUES {
            let message =
                format!("the text has more than {MOST_VALUES} values, those that aliases stand for among them");
            return refused(place, message, "write out what is meant, or split the file with `extends`");
        }
    }
    Ok(())
}

const DEPTH_HINT: &str = "nothing in a component is that deep; check brackets and indentation";
const ALIAS_HINT: &str = "write out what is meant";

fn too_deep() -> String {
    format!("more than {DEEPEST} mappings and lists inside of one another")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laughs(levels: usize) -> String {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..=levels {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            text += &format!("a{level}: &a{level} [{below}]\n");
        }
        text
    }

    #[test]
    fn aliases_count_for_what_they_stand_for() {
        assert_eq!(vet(&laughs(2)), Ok(()));
        for levels in [4, 9, 40] {
            let refused = vet(&laughs(levels)).unwrap_err();
            assert!(refused.message.contains("aliases") && refused.place.0 > 1, "{refused:?}");
        }
        // One long list that is named again and again.
        let long = format!("a: &a [{}]\nb: [{}]\n", "1, ".repeat(5_000), "*a, ".repeat(50));
        assert!(vet(&long).is_err());
        assert!(vet("a: &a [*a]\n").unwrap_err().message.contains("inside of what it stands for"));
    }

    #[test]
    fn depth_counts_through_aliases() {
        assert_eq!(vet(&("[".repeat(40) + &"]".repeat(40))), Ok(()));
        assert!(vet(&"[".repeat(60)).unwrap_err().message.contains("inside of one another"));
        assert!(vet(&"[".repeat(MOST_BYTES)).is_err());
        assert!(vet(&("- ".repeat(60) + "x")).unwrap_err().message.contains("inside of one another"));
        let deep = format!("a: &a {}1{}\nb: {}*a{}\n", "[".repeat(30), "]".repeat(30), "[".repeat(30), "]".repeat(30));
        assert!(vet(&deep).unwrap_err().message.contains("inside of one another"));
        assert!(vet(&"x".repeat(MOST_BYTES + 1)).unwrap_err().message.contains("bytes long"));
    }

    #[test]
    fn what_this_parser_cannot_read_is_left_to_the_other_unless_it_may_grow() {
        assert_eq!(vet("a: [1\nb: }"), Ok(()));
        assert!(vet("a: &x [1\nb: } *x").unwrap_err().message.starts_with("not YAML"));
    }

    #[test]
    fn files_without_end_are_not_read_to_the_end() {
        assert_eq!(read_named(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
