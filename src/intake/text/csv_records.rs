//! Where records of CSV end, by the parser that reads them later.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::fault::TextFault;
use super::{MAX_COLUMNS, MAX_RECORD};

/// Records as they come by.
pub struct CsvRecords {
    parser: Reader,
    length: usize,
    before: u64,
    // Whether more than line ends of the record was there.
    begun: bool,
    // Columns of the first record, once it has ended.
    named: Option<usize>,
    // The line on which the record began.
    first_line: u64,
    /// Columns of the record that have ended.
    pub columns: usize,
    /// Line ends before.
    pub lines: u64,
    /// Whether a value has a line end in it.
    pub lines_in_values: bool,
    // What is in a record does not matter here.
    values: Box<[u8]>,
    ends: [usize; 64],
}

impl CsvRecords {
    /// Records whose values are separated so.
    pub fn new(delimiter: u8) -> Self {
        Self {
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            length: 0,
            before: 0,
            begun: false,
            named: None,
            first_line: 1,
            columns: 0,
            lines: 0,
            lines_in_values: false,
            values: vec![0; 16 << 10].into_boxed_slice(),
            ends: [0; 64],
        }
    }

    /// Goes on with a piece.
    ///
    /// # Errors
    /// Where a record is too long, or has too many columns, or others than the first.
    pub fn take(&mut self, mut piece: &[u8]) -> Result<(), TextFault> {
        while !piece.is_empty() {
            let (found, read, _, columns) = self.parser.read_record(piece, &mut self.values, &mut self.ends);
            let (record, rest) = piece.split_at(read);
            piece = rest;
            self.note_lines(record, found == ReadRecordResult::Record);
            self.length += read;
            self.columns += columns;
            if self.length > MAX_RECORD {
                return Err(TextFault::Record(self.before + 1));
            }
            if self.columns > MAX_COLUMNS {
                return Err(TextFault::Columns);
            }
            if found == ReadRecordResult::Record {
                self.end_record()?;
            }
        }
        Ok(())
    }

    /// Ends the last record, which need not have a line end.
    ///
    /// # Errors
    /// Where it has other columns than the first.
    pub fn end(&mut self) -> Result<(), TextFault> {
        let (found, _, _, columns) = self.parser.read_record(&[], &mut self.values, &mut self.ends);
        self.columns += columns;
        if found == ReadRecordResult::Record { self.end_record() } else { Ok(()) }
    }

    fn end_record(&mut self) -> Result<(), TextFault> {
        let (named, values) = (*self.named.get_or_insert(self.columns), self.columns);
        if values != named {
            return Err(TextFault::Values { line: self.first_line, named, values });
        }
        (self.length, self.columns, self.before, self.begun) = (0, 0, self.before + 1, false);
        Ok(())
    }

    fn note_lines(&mut self, record: &[u8], ends: bool) {
        if !self.begun && !record.trim_ascii_start().is_empty() {
            let before = record.len() - record.trim_ascii_start().len();
            let empty = record[..before].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.first_line = self.lines + empty + 1;
        }
        self.lines += record.iter().filter(|byte| **byte == b'\n').count() as u64;
        let within = match (ends, record.split_last()) {
            (true, Some((_, within))) => within,
            _ => record,
        };
        let within = match self.begun {
            true => within,
            false => within.trim_ascii_start(),
        };
        self.begun |= !within.is_empty();
        self.lines_in_values |= within.contains(&b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(pieces: &[&[u8]]) -> Result<CsvRecords, TextFault> {
        let mut records = CsvRecords::new(b',');
        pieces.iter().try_for_each(|piece| records.take(piece))?;
        Ok(records)
    }

    #[test]
    fn records_end_where_the_parser_ends_them() {
        let line = [b"a,b\n1,".as_slice(), &vec![b'x'; MAX_RECORD - 3]].concat();
        csv(&[&line]).unwrap();
        csv(&[&line, b"\n", &line[4..]]).unwrap();
        assert_eq!(csv(&[&line, b"xx"]).err(), Some(TextFault::Record(2)));
        let rows = b"1,\"x y\"\r\n".repeat(MAX_RECORD / 4);
        csv(&[&rows]).unwrap();
        // A quote in the middle of a value is none.
        csv(&[b"5\" pipe,\n", &rows]).unwrap();
        assert_eq!(csv(&[b"a,b\n1,\"", &b"2,3\n".repeat(MAX_RECORD)]).err(), Some(TextFault::Record(2)));
    }

    #[test]
    fn columns_are_counted_over_all_records() {
        csv(&[",".repeat(MAX_COLUMNS - 1).as_bytes(), b"\n"]).unwrap();
        assert_eq!(csv(&[",".repeat(MAX_COLUMNS).as_bytes(), b"\n"]).err(), Some(TextFault::Columns));
    }

    #[test]
    fn records_have_as_many_values_as_the_first() {
        let fault = |line, named, values| Some(TextFault::Values { line, named, values });
        for (text, expected) in [
            ("a,b\n1,2\n3,4", None),
            ("a,b\n1,2\n\n3,4,5\n", fault(4, 2, 3)),
            ("a,b\r\n1,\"x\r\ny\"\r\n3\r\n", fault(4, 2, 1)),
            ("a,b\n1,\"x\ny\",z\n", fault(2, 2, 3)),
            ("a,b\n1", fault(2, 2, 1)),
            ("a\n\"\"\n1\n", None),
        ] {
            for pieces in [vec![text.as_bytes()], text.as_bytes().chunks(1).collect()] {
                let mut records = CsvRecords::new(b',');
                let found = pieces.iter().try_for_each(|piece| records.take(piece)).and_then(|()| records.end());
                assert_eq!(found.err(), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn line_ends_in_values_are_seen_however_the_pieces_are_cut() {
        for (text, lines, within) in [
            ("a,b\n1,2\n\n\n3,4\n", 5, false),
            ("\r\na,b\r\n\r\n1,2\r\n", 4, false),
            ("a,b\n1,\"x\ny\"\n", 3, true),
            ("a,b\r\n1,\"\n\"\r\n", 3, true),
        ] {
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            for pieces in [vec![text.as_bytes()], bytes] {
                let records = csv(&pieces).unwrap();
                assert_eq!((records.lines, records.lines_in_values), (lines, within), "{text:?}");
            }
        }
    }
}
