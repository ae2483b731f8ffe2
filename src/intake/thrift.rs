//! Thrift's compact protocol, walked over without building anything: lengths are held against the bytes that there are.

/// Structures inside of one another; Parquet's own need eight.
const DEEPEST: usize = 24;

/// Fewest bytes of a structure in a list: no Parquet structure that stands in lists does with less.
const SMALLEST_STRUCT: usize = 3;

/// What a walk comes upon. Paths are field numbers from the outermost structure on; lists do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A structure begins.
    Struct,
    /// An integer.
    Int(i64),
}

/// Why a walk stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end too soon.
    Cut,
    /// It is not Thrift, or no Thrift that a file would hold.
    Nonsense,
}

/// Walks over one structure and tells what is in it; gives the number of its bytes.
///
/// # Errors
/// Where it is cut or none.
pub fn walk(bytes: &[u8], tell: &mut dyn FnMut(&[i16], Item)) -> Result<usize, Fault> {
    let mut walker = Walker { bytes, at: 0, path: Vec::new(), tell };
    walker.structure(0)?;
    Ok(walker.at)
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<i16>,
    tell: &'a mut dyn FnMut(&[i16], Item),
}

impl Walker<'_> {
    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = self.bytes.get(self.at).copied().ok_or(Fault::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        let to = usize::try_from(bytes).ok().and_then(|bytes| self.at.checked_add(bytes)).ok_or(Fault::Nonsense)?;
        if to > self.bytes.len() {
            return Err(Fault::Cut);
        }
        self.at = to;
        Ok(())
    }

    fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Fault::Nonsense)
    }

    fn signed(&mut self) -> Result<i64, Fault> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn structure(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEEPEST {
            return Err(Fault::Nonsense);
        }
        (self.tell)(&self.path, Item::Struct);
        let mut field = 0_i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            field = match head >> 4 {
                0 => i16::try_from(self.signed()?).map_err(|_| Fault::Nonsense)?,
                delta => field.checked_add(i16::from(delta)).ok_or(Fault::Nonsense)?,
            };
            self.path.push(field);
            // The truth of a field stands in its head.
            if !matches!(head & 0xf, 1 | 2) {
                self.value(head & 0xf, depth)?;
            }
            self.path.pop();
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Result<(), Fault> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => {
                let number = self.signed()?;
                (self.tell)(&self.path, Item::Int(number));
                Ok(())
            }
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth),
            11 => self.map(depth),
            12 => self.structure(depth + 1),
            13 => self.skip(16),
            _ => Err(Fault::Nonsense),
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), Fault> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.number()?,
            length => u64::from(length),
        };
        let (kind, began) = (head & 0xf, self.at);
        self.admit_length(length)?;
        for _ in 0..length {
            self.value(kind, depth + 1)?;
        }
        let length = usize::try_from(length).map_err(|_| Fault::Nonsense)?;
        // Whoever reads it makes room for so many, however small they are here.
        if kind == 12 && self.at - began < length.saturating_mul(SMALLEST_STRUCT) {
            return Err(Fault::Nonsense);
        }
        Ok(())
    }

    fn map(&mut self, depth: usize) -> Result<(), Fault> {
        let length = self.number()?;
        self.admit_length(length)?;
        if length == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        for _ in 0..length {
            self.value(kinds >> 4, depth + 1)?;
            self.value(kinds & 0xf, depth + 1)?;
        }
        Ok(())
    }

    /// Every element takes a byte at least.
    fn admit_length(&self, length: u64) -> Result<(), Fault> {
        let left = (self.bytes.len() - self.at) as u64;
        if left < length { Err(Fault::Cut) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (usize, Vec<(Vec<i16>, Item)>);

    fn told(bytes: &[u8]) -> Result<Told, Fault> {
        let mut all = Vec::new();
        let length = walk(bytes, &mut |path, item| all.push((path.to_vec(), item)))?;
        Ok((length, all))
    }

    #[test]
    fn fields_lists_and_structures_are_told_by_their_paths() {
        // 1: -3, 3: [{2: 7}], and a byte behind it.
        let bytes = [0x15, 0x05, 0x29, 0x1c, 0x25, 0x0e, 0x00, 0x00, 0xff];
        let (length, all) = told(&bytes).unwrap();
        assert_eq!(length, 8);
        let expected =
            [(vec![], Item::Struct), (vec![1], Item::Int(-3)), (vec![3], Item::Struct), (vec![3, 2], Item::Int(7))];
        assert_eq!(all, expected);
    }

    #[test]
    fn lengths_beyond_the_bytes_and_endless_depth_are_refused() {
        assert_eq!(told(&[0x15]), Err(Fault::Cut));
        assert_eq!(told(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]), Err(Fault::Cut));
        assert_eq!(told(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(Fault::Cut));
        assert_eq!(told(&[0x19, 0xfc, 0x10].into_iter().chain([0; 17]).collect::<Vec<_>>()), Err(Fault::Nonsense));
        assert_eq!(told(&[0x1c; 1000]), Err(Fault::Nonsense));
        assert_eq!(told(&[0x15, 0x80].into_iter().chain([0x80; 12]).collect::<Vec<_>>()), Err(Fault::Nonsense));
        assert_eq!(told(&[0x1e, 0, 0]), Err(Fault::Nonsense));
    }
}
