//! The file in which the development CA survives between runs: text, so that a person can look at it,
//! with a check sum, so that half a file is never half a CA.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::home::check_mode;
use crate::identity::IdentityError;

/// What is stored of a CA.
pub(super) struct Stored {
    pub(super) domain: String,
    /// When the certificate ends, in seconds since 1970.
    pub(super) expires: u64,
    pub(super) certificate: Vec<u8>,
    /// In PKCS#8.
    pub(super) key: Vec<u8>,
}

const FIRST_LINE: &str = "micro development CA, version 1";
/// Ten times what is written; more is not ours, and not worth the memory.
const MAX_BYTES: u64 = 16 * 1024;

impl Stored {
    /// What lies in `path`, or nothing.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, IdentityError> {
        let failed = |source| io_error(path, source);
        // The directory is ours alone, so nobody can swap the file between these two lines.
        let meta = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            meta => meta.map_err(failed)?,
        };
        let damaged = |why| IdentityError::Damaged { path: path.to_owned(), why };
        if !meta.is_file() {
            return Err(damaged("it is not a file".to_owned()));
        }
        check_mode(meta.mode(), "600")
            .map_err(|why| IdentityError::Exposed { path: path.to_owned(), why })?;
        let mut text = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
        Self::parse(&text).map(Some).map_err(|why| damaged(why.to_owned()))
    }

    /// Puts this in `path` in one step: after a crash, the whole file is there or none.
    ///
    /// The caller holds the lock of the directory, so that there is one writer.
    pub(super) fn write(&self, path: &Path) -> Result<(), IdentityError> {
        let new = path.with_extension("new");
        // Left by a writer that died; opened again, it would keep the mode that it has.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&new, error));
            }
            _ => {}
        }
        let written = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(self.to_text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            // Without this, the rename itself may be lost.
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
        };
        written().map_err(|error| io_error(path, error))
    }

    fn to_text(&self) -> String {
        let Self { domain, expires, certificate, key } = self;
        let mut text = format!(
            "{FIRST_LINE}\ndomain {domain}\nexpires {expires}\ncertificate {}\nkey {}\n",
            hex(certificate),
            hex(key)
        );
        let sum = checksum(text.as_bytes());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "check {sum:016x}");
        text
    }

    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        if text.len() as u64 > MAX_BYTES {
            return Err("it is too large");
        }
        let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
        if text.is_empty() {
            return Err("it is empty");
        }
        if !text.starts_with(FIRST_LINE) {
            return Err("it is no development CA of version 1");
        }
        let (body, sum) = text.rsplit_once("check ").ok_or("it is cut short")?;
        if sum != format!("{:016x}\n", checksum(body.as_bytes())) {
            return Err("its check sum is wrong");
        }
        let mut lines = body.lines().skip(1);
        let mut field = |name: &str| {
            let line = lines.next()?;
            line.strip_prefix(name)?.strip_prefix(' ')
        };
        let stored = || -> Option<Self> {
            Some(Self {
                domain: field("domain")?.to_owned(),
                expires: field("expires")?.parse().ok()?,
                certificate: unhex(field("certificate")?)?,
                key: unhex(field("key")?)?,
            })
        }();
        stored.ok_or("a line is missing or wrong")
    }
}

pub(super) fn io_error(path: impl Into<PathBuf>, source: io::Error) -> IdentityError {
    IdentityError::Io { path: path.into(), source }
}

/// FNV-1a with 64 bits: against accidents. Who can write this file has the key anyway.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::home::tests::TempDir;

    fn stored() -> Stored {
        Stored {
            domain: "dev-0.local".to_owned(),
            expires: 4_000_000_000,
            certificate: vec![0, 1, 0xab, 0xff],
            key: vec![7; 32],
        }
    }

    fn read_error(path: &Path) -> String {
        Stored::read(path).err().expect("must be refused").to_string()
    }

    #[test]
    fn what_is_written_is_read_and_open_to_nobody_else() {
        let dir = TempDir::new();
        let path = dir.0.join("ca");
        assert!(Stored::read(&path).unwrap().is_none());
        stored().write(&path).unwrap();
        let read = Stored::read(&path).unwrap().unwrap();
        assert_eq!(read.to_text(), stored().to_text());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_writer_that_died_is_no_obstacle() {
        let dir = TempDir::new();
        let path = dir.0.join("ca");
        fs::write(dir.0.join("ca.new"), "micro devel").unwrap();
        stored().write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_refused() {
        let text = stored().to_text();
        for end in 0..text.len() {
            assert!(Stored::parse(&text.as_bytes()[..end]).is_err(), "{end}");
        }
        assert!(Stored::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_file_with_any_flipped_bit_is_refused() {
        let text = stored().to_text();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert!(Stored::parse(&bytes).is_err(), "{at} {bit}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_file_and_what_to_do() {
        let dir = TempDir::new();
        let path = dir.0.join("ca");
        let private = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        for (bytes, why) in [
            (&b""[..], "it is empty"),
            (b"\xff\xfe", "it is not text"),
            (b"hello", "it is no development CA of version 1"),
            (&[b'x'; 20_000], "it is too large"),
            (b"micro development CA, version 1\nkey 00\n", "it is cut short"),
        ] {
            private(bytes);
            let error = read_error(&path);
            assert!(error.contains(why) && error.contains(path.to_str().unwrap()), "{error}");
            assert!(error.contains("delete that file"), "{error}");
        }
        stored().write(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_error(&path);
        assert!(error.contains("(mode 0644)") && error.contains("chmod 600"), "{error}");
    }
}
