//! Text whose bytes are UTF-8 throughout: what was none is replaced, and its places are told.

use std::io::{self, Read};

/// Bytes that are looked at together.
const PIECE: usize = 64 << 10;

/// What stands for bytes that are no character.
const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

/// Text, piece by piece.
pub struct Pieces<R> {
    bytes: R,
    /// The piece that was read last.
    pub text: Vec<u8>,
    /// Where it has a replacement.
    pub replaced: Vec<usize>,
    // Bytes of a character whose rest is in the next piece.
    rest: Vec<u8>,
}

impl<R: Read> Pieces<R> {
    /// The text of these bytes.
    pub fn new(bytes: R) -> Self {
        Self { bytes, text: Vec::new(), replaced: Vec::new(), rest: Vec::new() }
    }

    /// Reads the next piece; `false` where there is none.
    ///
    /// # Errors
    /// What reading says.
    pub fn next(&mut self) -> io::Result<bool> {
        let mut read = std::mem::take(&mut self.rest);
        let before = read.len();
        read.resize(before + PIECE, 0);
        let length = loop {
            match self.bytes.read(&mut read[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        read.truncate(before + length);
        self.replaced.clear();
        self.text.clear();
        let mut left = read.as_slice();
        while let Err(error) = std::str::from_utf8(left) {
            let (valid, wrong) = left.split_at(error.valid_up_to());
            self.text.extend_from_slice(valid);
            let Some(width) = error.error_len().or((length == 0).then_some(wrong.len())) else {
                self.rest = wrong.to_vec();
                left = &[];
                break;
            };
            self.replaced.push(self.text.len());
            self.text.extend_from_slice(REPLACEMENT);
            left = &wrong[width..];
        }
        match self.text.is_empty() && left.len() == read.len() {
            true => self.text = read,
            false => self.text.extend_from_slice(left),
        }
        // A piece may be no more than a part of a character.
        if self.text.is_empty() && length > 0 { self.next() } else { Ok(!self.text.is_empty()) }
    }
}

/// The pieces as one, for readers of columns.
pub struct Replaced<R> {
    pieces: Pieces<R>,
    at: usize,
}

impl<R: Read> Replaced<R> {
    /// The text of these bytes.
    pub fn new(bytes: R) -> Self {
        Self { pieces: Pieces::new(bytes), at: 0 }
    }
}

impl<R: Read> Read for Replaced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.pieces.text.len() {
            self.at = 0;
            if !self.pieces.next()? {
                return Ok(0);
            }
        }
        let rest = &self.pieces.text[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte at a time.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            (buffer[0], self.0) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn only_what_is_no_character_is_replaced() {
        for (bytes, text) in [
            ("a,Zo\u{eb},\u{1F600}".as_bytes(), "a,Zo\u{eb},\u{1F600}"),
            (b"Zo\xEB,\xFFb", "Zo\u{FFFD},\u{FFFD}b"),
            (b"cut \xF0\x9F", "cut \u{FFFD}"),
            (b"", ""),
        ] {
            let (mut whole, mut slow) = (String::new(), String::new());
            Replaced::new(bytes).read_to_string(&mut whole).unwrap();
            Replaced::new(Slowly(bytes)).read_to_string(&mut slow).unwrap();
            assert_eq!((whole.as_str(), slow.as_str()), (text, text));
        }
        let mut pieces = Pieces::new(b"a\xFFb".as_slice());
        assert!(pieces.next().unwrap());
        assert_eq!(pieces.replaced, [1]);
    }
}
