//! Objects of JSON, one a line, out of whatever has them: lines, objects one after another, or an array.

use std::collections::HashSet;
use std::io::{self, BufRead, Read};

use super::MAX_RECORD;
use super::fault::TextFault;
use super::utf8::Pieces;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// An object, or what separates two.
    Between,
    /// A part of an object that is no text.
    Value,
    /// A text.
    Text,
    /// What a backslash in a text says.
    Escape,
}

/// Whether objects stand in an array, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    Outside,
    Begun,
    AfterObject,
    AfterComma,
}

/// Cuts text into objects, whatever blanks, line ends and arrays are around and in them.
pub struct Cutter {
    place: Place,
    array: Array,
    depth: u32,
    length: usize,
    objects: u64,
    line: u64,
    /// Whether all objects so far stood outside of arrays, none on more than one line.
    pub in_lines: bool,
    // Fields whose nested values become text; their names are looked at where there are any.
    as_text: HashSet<String>,
    name: Vec<u8>,
    before_colon: bool,
    in_name: bool,
    quoting: bool,
}

impl Cutter {
    /// For text from its beginning on. Values of the fields `as_text` that are arrays or objects become texts.
    pub fn new(as_text: HashSet<String>) -> Self {
        Self {
            place: Place::Between,
            array: Array::Outside,
            depth: 0,
            length: 0,
            objects: 0,
            line: 1,
            in_lines: true,
            as_text,
            name: Vec::new(),
            before_colon: true,
            in_name: false,
            quoting: false,
        }
    }

    /// The line that it has come to.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Goes on with a piece: puts objects and the beginning of the last one into `out`, a line end behind each.
    ///
    /// # Errors
    /// Where something else stands between objects, or one is too long.
    pub fn take(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), TextFault> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            match self.place {
                Place::Between => self.between(&piece[at..], out)?,
                Place::Value => self.value(byte, out)?,
                Place::Escape => {
                    self.emit(byte, out);
                    self.place = Place::Text;
                }
                Place::Text => match byte {
                    b'"' => {
                        self.in_name = false;
                        self.emit(byte, out);
                        self.place = Place::Value;
                    }
                    b'\\' => {
                        self.emit(byte, out);
                        self.place = Place::Escape;
                    }
                    b'\n' => {
                        let line = self.line;
                        return Err(TextFault::Malformed(format!("line {line} ends within a text")));
                    }
                    _ => {
                        let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | b'\n');
                        let run = piece[at..].iter().take_while(|byte| plain(byte)).count();
                        self.emit_run(&piece[at..at + run], out);
                        at += run;
                        continue;
                    }
                },
            }
            if byte == b'\n' {
                self.line += 1;
            }
            at += 1;
        }
        self.bounded()
    }

    /// Where the text ends.
    ///
    /// # Errors
    /// Where it ends too early.
    pub fn end(&self) -> Result<(), TextFault> {
        match (self.place, self.array) {
            (Place::Between, Array::Outside) => Ok(()),
            (Place::Between, _) => Err(TextFault::Malformed("it ends before its array does".to_owned())),
            _ => Err(TextFault::Malformed(format!("it ends within record {}", self.objects + 1))),
        }
    }

    fn between(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Result<(), TextFault> {
        let byte = rest.first().copied().unwrap_or(b' ');
        self.array = match (self.array, byte) {
            (array, b' ' | b'\t' | b'\r' | b'\n') => array,
            (Array::Outside, b'[') => {
                self.in_lines = false;
                Array::Begun
            }
            (Array::AfterObject, b',') => Array::AfterComma,
            (Array::Begun | Array::AfterObject, b']') => Array::Outside,
            (array, b'{') if array != Array::AfterObject => {
                (self.place, self.depth, self.before_colon) = (Place::Value, 1, true);
                self.emit(byte, out);
                array
            }
            _ => {
                let found = String::from_utf8_lossy(&rest[..rest.len().min(4)]).chars().next().unwrap_or_default();
                return Err(TextFault::NoObject { line: self.line, found });
            }
        };
        Ok(())
    }

    fn value(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), TextFault> {
        match byte {
            b'"' => {
                if self.depth == 1 && self.before_colon {
                    self.name.clear();
                    self.emit(byte, out);
                    self.in_name = true;
                } else {
                    self.emit(byte, out);
                }
                self.place = Place::Text;
            }
            b'{' | b'[' => {
                if self.depth == 1 && self.becomes_text() {
                    out.push(b'"');
                    self.quoting = true;
                }
                self.depth += 1;
                self.emit(byte, out);
            }
            b'}' | b']' => {
                self.emit(byte, out);
                self.depth -= 1;
                if self.depth == 1 && std::mem::take(&mut self.quoting) {
                    out.push(b'"');
                }
                if self.depth == 0 {
                    self.bounded()?;
                    out.push(b'\n');
                    (self.place, self.length, self.objects) = (Place::Between, 0, self.objects + 1);
                    if self.array != Array::Outside {
                        self.array = Array::AfterObject;
                    }
                }
            }
            b'\n' | b'\r' | b'\t' => {
                self.in_lines &= byte != b'\n';
                self.emit(b' ', out);
            }
            _ => {
                if self.depth == 1 && matches!(byte, b',' | b':') {
                    self.before_colon = byte == b',';
                }
                self.emit(byte, out);
            }
        }
        Ok(())
    }

    fn emit(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.length += 1;
        if self.in_name && !self.as_text.is_empty() {
            self.name.push(byte);
        }
        if self.quoting && matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }

    fn emit_run(&mut self, run: &[u8], out: &mut Vec<u8>) {
        self.length += run.len();
        if self.in_name && !self.as_text.is_empty() {
            self.name.extend_from_slice(run);
        }
        out.extend_from_slice(run);
    }

    fn becomes_text(&self) -> bool {
        if self.as_text.is_empty() {
            return false;
        }
        let quoted = [b"\"", self.name.as_slice(), b"\""].concat();
        serde_json::from_slice::<String>(&quoted).is_ok_and(|name| self.as_text.contains(&name))
    }

    fn bounded(&self) -> Result<(), TextFault> {
        if self.length > MAX_RECORD { Err(TextFault::Record(self.objects + 1)) } else { Ok(()) }
    }
}

/// Objects for a reader of lines.
pub struct Objects<R> {
    pieces: Pieces<R>,
    cutter: Cutter,
    cut: Vec<u8>,
    at: usize,
}

impl<R: Read> Objects<R> {
    /// The objects of a text.
    pub fn new(bytes: R, as_text: HashSet<String>) -> Self {
        Self { pieces: Pieces::new(bytes), cutter: Cutter::new(as_text), cut: Vec::new(), at: 0 }
    }
}

impl<R: Read> Read for Objects<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let cut = self.fill_buf()?;
        let length = cut.len().min(buffer.len());
        buffer[..length].copy_from_slice(&cut[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl<R: Read> BufRead for Objects<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.cut.len() {
            self.at = 0;
            self.cut.clear();
            if !self.pieces.next()? {
                self.cutter.end()?;
                break;
            }
            self.cutter.take(&self.pieces.text, &mut self.cut)?;
        }
        Ok(&self.cut[self.at..])
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, as_text: &[&str]) -> Result<(String, bool), TextFault> {
        let (mut whole, mut slow) = (Vec::new(), Vec::new());
        let names = || as_text.iter().map(|name| (*name).to_owned()).collect();
        let mut cutter = Cutter::new(names());
        cutter.take(text.as_bytes(), &mut whole)?;
        cutter.end()?;
        let mut slowly = Cutter::new(names());
        text.as_bytes().chunks(1).try_for_each(|piece| slowly.take(piece, &mut slow))?;
        assert_eq!((&whole, cutter.in_lines), (&slow, slowly.in_lines), "{text}");
        Ok((String::from_utf8(whole).unwrap(), cutter.in_lines))
    }

    #[test]
    fn objects_are_found_wherever_they_stand() {
        let lines = "{\"a\":1}\n{\"a\":\"}]\\\",{\"}\n";
        let array = "[{\"a\":1},\n {\"a\":\"}]\\\",{\"}]";
        for (text, in_lines) in [
            (lines, true),
            (array, false),
            (&format!("\r\n{}\r\n", array.replace('\n', "")), false),
            (&lines.replace('\n', "\r\n\r\n"), true),
            (&lines.replace('\n', ""), true),
            (&format!("[]\n{array}[ ]"), false),
        ] {
            assert_eq!(cut(text, &[]).unwrap(), (lines.to_owned(), in_lines), "{text}");
        }
        assert_eq!(cut("{\n\"a\":\n1}", &[]).unwrap(), ("{ \"a\": 1}\n".to_owned(), false));
        assert_eq!(cut("", &[]).unwrap().0, "");
    }

    #[test]
    fn nested_values_of_some_fields_become_text() {
        let text = "{\"a\": [1, {\"a\": \"x\\\"y\"}], \"b\": [1], \"\\u0061\": {}, \"c\": {\"a\": []}}";
        let found = cut(text, &["a"]).unwrap().0;
        assert_eq!(
            found,
            "{\"a\": \"[1, {\\\"a\\\": \\\"x\\\\\\\"y\\\"}]\", \"b\": [1], \"\\u0061\": \"{}\", \"c\": {\"a\": []}}\n"
        );
    }

    #[test]
    fn what_is_no_object_is_told_with_its_line() {
        for (text, line, found) in [
            ("{}\n1", 2, '1'),
            ("[{}{}]", 1, '{'),
            ("[{},]", 1, ']'),
            ("[[{}]]", 1, '['),
            ("{},{}", 1, ','),
            ("\n\n\u{e9}", 3, '\u{e9}'),
            ("[null]", 1, 'n'),
        ] {
            let fault = cut(text, &[]).unwrap_err();
            assert_eq!(fault, TextFault::NoObject { line, found }, "{text}");
        }
        for text in ["[{}", "[", "{\"a\": 1", "{\"a\": \"", "{\"a\": \"x\ny\"}"] {
            assert!(matches!(cut(text, &[]), Err(TextFault::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn a_record_has_a_longest_length_in_arrays_too() {
        for start in ["", "[", "[{},\n"] {
            let mut cutter = Cutter::new(HashSet::new());
            let mut out = Vec::new();
            cutter.take(start.as_bytes(), &mut out).unwrap();
            cutter.take(&b" \n".repeat(MAX_RECORD), &mut out).unwrap();
            cutter.take(b"{\"", &mut out).unwrap();
            cutter.take(&vec![b'x'; MAX_RECORD - 2], &mut out).unwrap();
            assert!(matches!(cutter.take(b"x", &mut out), Err(TextFault::Record(_))), "{start}");
        }
    }
}
