//! The bytes of a text file, wherever they come from, unpacked and without the mark that some programs begin it with.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Weak};

use bytes::{Buf, Bytes};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::Result;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt};
use tokio::sync::mpsc;

use super::fault::TextFault;

/// Pieces of a file on their way to where they are parsed.
const PIECES: usize = 16;

/// Bytes that tell what a file is.
const HEAD: u64 = 6;

/// The mark of UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Beginnings of files that are no text.
const NO_TEXT: [(&[u8], &str); 7] = [
    (b"\xFF\xFE", "UTF-16 rather than UTF-8"),
    (b"\xFE\xFF", "UTF-16 rather than UTF-8"),
    (b"PK\x03\x04", "a ZIP archive or a sheet of Excel"),
    (b"\xD0\xCF\x11\xE0", "a sheet of Excel"),
    (b"BZh", "packed by bzip2"),
    (b"\xFD7zXZ", "packed by xz"),
    (b"PAR1", "Parquet"),
];

/// Bytes of a file.
pub type Source = Box<dyn Read + Send>;

/// A file to be read where waiting is allowed.
///
/// # Errors
/// Where it cannot be opened.
pub async fn open(store: &Arc<dyn ObjectStore>, location: &Path) -> Result<Source> {
    let mut arriving = match store.get(location).await?.payload {
        GetResultPayload::File(file, _) => return Ok(Box::new(file)),
        GetResultPayload::Stream(pieces) => pieces,
    };
    let (pass, pieces) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        while let Some(piece) = arriving.next().await {
            // Nobody waits for the rest of it.
            if pass.send(piece.map_err(io::Error::other)).await.is_err() {
                break;
            }
        }
    });
    Ok(Box::new(Received { pieces, piece: Bytes::new() }))
}

/// Pieces of a file as one.
struct Received {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.pieces.blocking_recv() else { return Ok(0) };
            self.piece = piece?;
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// Bytes that end where nobody waits for them any more.
pub struct Wanted<R> {
    /// The bytes.
    pub bytes: R,
    /// Held by whoever waits.
    pub by: Weak<()>,
}

impl<R: Read> Read for Wanted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.by.strong_count() == 0 {
            return Err(io::Error::other("given up"));
        }
        self.bytes.read(buffer)
    }
}

/// A file's text.
pub struct Text {
    /// Its bytes, unpacked, without a mark.
    pub bytes: Source,
    /// Whether the file is just these bytes.
    pub as_stored: bool,
}

/// The text of a file, by what is in it rather than by its name.
///
/// # Errors
/// Where it is something else, or cannot be read.
pub fn text(stored: Source) -> io::Result<Text> {
    let (head, stored) = headed(stored)?;
    let packing = match head.as_slice() {
        [0x1F, 0x8B, ..] => Some(FileCompressionType::GZIP),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(FileCompressionType::ZSTD),
        _ => None,
    };
    let Some(packing) = packing else { return unmarked(head, stored, true) };
    let unpacked = packing.convert_read(stored).map_err(io::Error::other)?;
    let (head, unpacked) = headed(Box::new(Unpacked(unpacked)))?;
    unmarked(head, unpacked, false)
}

fn unmarked(head: Vec<u8>, mut bytes: Source, as_stored: bool) -> io::Result<Text> {
    if let Some((_, what)) = NO_TEXT.iter().find(|(start, _)| head.starts_with(start)) {
        return Err(TextFault::NoText(what).into());
    }
    if head.contains(&0) {
        return Err(TextFault::NoText("binary, or UTF-16 or UTF-32 rather than UTF-8").into());
    }
    if head.is_empty() {
        return Err(TextFault::Empty.into());
    }
    let marked = head.starts_with(MARK);
    if marked {
        bytes.read_exact(&mut [0; MARK.len()])?;
    }
    Ok(Text { bytes, as_stored: as_stored && !marked })
}

/// The first bytes, and all of them.
fn headed(mut bytes: Source) -> io::Result<(Vec<u8>, Source)> {
    let mut head = Vec::new();
    bytes.by_ref().take(HEAD).read_to_end(&mut head)?;
    Ok((head.clone(), Box::new(Read::chain(Cursor::new(head), bytes))))
}

/// What is unpacked; what cannot be is told as such.
struct Unpacked(Source);

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.get_ref() {
            Some(inner) if inner.is::<object_store::Error>() => error,
            _ => TextFault::Packed(error.to_string()).into(),
        })
    }
}
