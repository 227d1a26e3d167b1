//! The deploy token: the secret for administration.
//!
//! The operator sets one with `REAPPLY_DEPLOY_TOKEN`. Otherwise the host makes one at its first start and keeps it in its data directory,
//! in a file that only its own user can read. Commands on the same machine read it there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use axum::http::{HeaderMap, header};
use reapply_journal::directory;

/// The file in the data directory that holds the token.
pub const TOKEN_FILE: &str = "deploy-token";

/// The number of hexadecimal digits of a token that a host makes.
const TOKEN_DIGITS: usize = 64;

/// A secret that is never shown: it has no `Display`, and `Debug` leaves it out.
#[derive(Clone)]
pub struct DeployToken(String);

/// The reasons why a data directory has no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file holds something else.
    #[error("{} does not hold a deploy token ({TOKEN_DIGITS} hexadecimal digits): remove the file, and the next start makes a new one", .0.display())]
    Malformed(PathBuf),
    /// The file cannot be read or made.
    #[error("the deploy token in {} cannot be read or made ({error}): {}, or set REAPPLY_DEPLOY_TOKEN", .file.display(), directory::remedy(.error))]
    Io {
        /// The file.
        file: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl DeployToken {
    /// Reads the token of a data directory, or makes one. The caller holds the directory's lock.
    ///
    /// # Errors
    ///
    /// The file holds something else, or cannot be read or made.
    pub fn open(data: &Path) -> Result<Self, TokenError> {
        if let Some(token) = Self::read(data)? {
            return Ok(token);
        }
        let file = data.join(TOKEN_FILE);
        let token = Self(blake3::Hash::from_bytes(rand::random()).to_string());
        write(&file, &token.0).map_err(|error| TokenError::Io { file, error })?;
        Ok(token)
    }

    /// Reads the token of a data directory; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The file holds something else, or cannot be read.
    pub fn read(data: &Path) -> Result<Option<Self>, TokenError> {
        let file = data.join(TOKEN_FILE);
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TokenError::Io { file, error }),
            Ok(text) => text,
        };
        let token = text.trim();
        if token.len() != TOKEN_DIGITS || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TokenError::Malformed(file));
        }
        Ok(Some(Self(token.to_owned())))
    }

    /// Returns whether a request carries this token.
    #[must_use]
    pub fn is_presented_in(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = value.and_then(|value| value.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, bearer)| bearer);
        // Hashes compare in constant time.
        bearer.is_some_and(|bearer| blake3::hash(bearer.as_bytes()) == blake3::hash(self.0.as_bytes()))
    }

    /// Returns the value of an `Authorization` header with this token.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl FromStr for DeployToken {
    type Err = &'static str;

    fn from_str(token: &str) -> Result<Self, &'static str> {
        let is_sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sendable {
            Ok(Self(token.to_owned()))
        } else {
            Err("a token is one or more visible ASCII characters without spaces")
        }
    }
}

impl std::fmt::Debug for DeployToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeployToken(..)")
    }
}

/// Writes the file whole or not at all, readable by this user alone.
fn write(file: &Path, token: &str) -> io::Result<()> {
    let part = file.with_added_extension("part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&part)?;
    writeln!(written, "{token}")?;
    written.sync_all()?;
    fs::rename(&part, file)?;
    File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presents(token: &DeployToken, value: &str) -> bool {
        token.is_presented_in(&HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]))
    }

    #[test]
    fn a_token_is_made_once_for_this_user_alone() {
        let data = tempfile::tempdir().unwrap();
        assert!(DeployToken::read(data.path()).unwrap().is_none());
        let made = DeployToken::open(data.path()).unwrap();
        let read = DeployToken::open(data.path()).unwrap();
        assert!(presents(&made, &read.bearer()));
        assert!(presents(&DeployToken::read(data.path()).unwrap().unwrap(), &made.bearer()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(data.path().join(TOKEN_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let other = tempfile::tempdir().unwrap();
        assert!(!presents(&made, &DeployToken::open(other.path()).unwrap().bearer()));
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused_by_name() {
        let data = tempfile::tempdir().unwrap();
        for text in ["", "secret", &"g".repeat(TOKEN_DIGITS), &"a".repeat(TOKEN_DIGITS - 1)] {
            fs::write(data.path().join(TOKEN_FILE), text).unwrap();
            let error = DeployToken::open(data.path()).unwrap_err();
            assert!(matches!(error, TokenError::Malformed(_)), "{error}");
            assert!(error.to_string().contains("remove the file"), "{error}");
        }
    }

    #[test]
    fn only_the_whole_token_counts_and_it_is_never_shown() {
        let token: DeployToken = "correct-horse".parse().unwrap();
        for scheme in ["Bearer", "bearer", "BEARER"] {
            assert!(presents(&token, &format!("{scheme} correct-horse")), "{scheme}");
        }
        for wrong in ["correct-horse", "Basic correct-horse", "Bearer correct", "Bearer correct-horses", "Bearer "] {
            assert!(!presents(&token, wrong), "{wrong}");
        }
        assert!(!token.is_presented_in(&HeaderMap::new()));
        assert!(!format!("{token:?}").contains("horse"));
        for bad in ["", " a", "a b", "a\nb", "é"] {
            assert!(bad.parse::<DeployToken>().is_err(), "{bad:?}");
        }
    }
}
