//! The tokens file: policies and tokens that an operator keeps in version control or in a secret store.
//!
//! ```toml
//! [policy.deploy]
//! rules = 'service_prefix "web" { policy = "write" }'
//!
//! [token.ci]
//! secret = "5f2c0c52-4a53-4d0c-9a3f-0d4c8a0f8f11"
//! policies = ["deploy"]
//!
//! [anonymous]
//! policies = ["deploy"]
//! ```
//!
//! A policy's ID and a token's accessor ID follow from their names, so that they are the same on each machine and after each
//! start.

use std::{collections::BTreeMap, hash::Hasher, sync::Arc};

use serde::Deserialize;
use siphasher::sip128::{Hasher128, SipHasher13};
use toml::{Spanned, value::Datetime};

use super::{
    directory::{AccessChange, AccessError, Directory},
    rules::Rules,
    time,
    token::{MANAGEMENT_POLICY_ID, MANAGEMENT_POLICY_NAME, Policy, Secret, Token},
};
use crate::catalog::uuid;

/// Why a tokens file was refused. It never repeats what stands in the file, because that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct AccessFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and the cure.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    #[serde(default)]
    policy: BTreeMap<Spanned<String>, PolicyShape>,
    #[serde(default)]
    token: BTreeMap<Spanned<String>, TokenShape>,
    anonymous: Option<Spanned<AnonymousShape>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyShape {
    #[serde(default)]
    description: String,
    rules: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenShape {
    secret: Spanned<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    policies: Vec<Spanned<String>>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    nodes: Vec<String>,
    expires: Option<Spanned<Datetime>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnonymousShape {
    policies: Vec<Spanned<String>>,
}

/// Adds what a file says to an empty directory.
pub fn read(text: &str, mut directory: Directory) -> Result<Directory, AccessFileError> {
    let file: FileShape = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        // "invalid type: integer `...`, expected a string" would repeat a secret.
        let message = error.message();
        let problem =
            message.split_once(", ").filter(|_| message.starts_with("invalid")).map_or(message, |(_, rest)| rest);
        AccessFileError { line: line(text, at), problem: problem.to_owned() }
    })?;
    let reader = Reader { text };
    for (name, shape) in &file.policy {
        let policy = reader.policy(name, shape)?;
        reader.apply(&mut directory, AccessChange::CreatePolicy(policy), name.span().start)?;
    }
    for (name, shape) in &file.token {
        let token = reader.token(name, shape, &directory)?;
        reader.apply(&mut directory, AccessChange::CreateToken(token), shape.secret.span().start)?;
    }
    if let Some(anonymous) = &file.anonymous {
        let policies = reader.policies(&anonymous.get_ref().policies, &directory)?;
        let token = Token { policies, ..Token::anonymous() };
        reader.apply(&mut directory, AccessChange::CreateToken(token), anonymous.span().start)?;
    }
    Ok(directory)
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn policy(&self, name: &Spanned<String>, shape: &PolicyShape) -> Result<Policy, AccessFileError> {
        if name.get_ref() == MANAGEMENT_POLICY_NAME {
            return Err(self.wrong(name.span().start, "the policy global-management is built in; choose another name"));
        }
        let rules = Rules::parse(shape.rules.get_ref()).map_err(|error| {
            // The text begins in the line of its quote; `'''` drops the end of that line.
            let opened = shape.rules.span().start;
            let first = line(self.text, opened)
                + usize::from(MULTILINE.iter().any(|quote| self.text[opened..].starts_with(quote)));
            AccessFileError { line: first + error.line as usize - 1, problem: error.problem }
        })?;
        Ok(Policy {
            id: id("policy", name.get_ref()),
            name: name.get_ref().as_str().into(),
            description: shape.description.as_str().into(),
            text: shape.rules.get_ref().as_str().into(),
            rules: Arc::new(rules),
            create_index: 0,
            modify_index: 0,
        })
    }

    fn token(
        &self,
        name: &Spanned<String>,
        shape: &TokenShape,
        directory: &Directory,
    ) -> Result<Token, AccessFileError> {
        let secret = shape.secret.get_ref();
        if secret.len() < SECRET_LEAST_BYTES {
            let problem = format!(
                "the secret of token {:?} is shorter than {SECRET_LEAST_BYTES} characters: it could be \
                                   guessed; `uuidgen` makes a good one",
                name.get_ref()
            );
            return Err(self.wrong(shape.secret.span().start, &problem));
        }
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "a secret travels in an HTTP header: write letters, digits and signs without blanks";
            return Err(self.wrong(shape.secret.span().start, problem));
        }
        let expires = shape.expires.as_ref().map(|at| {
            let problem = "expires needs a date, a time and an offset: 2027-01-01T00:00:00Z";
            time::seconds(at.get_ref()).ok_or_else(|| self.wrong(at.span().start, problem))
        });
        let names = |names: &[String]| names.iter().map(|name| Arc::from(name.as_str())).collect();
        Ok(Token {
            description: shape.description.as_deref().unwrap_or(name.get_ref()).into(),
            policies: self.policies(&shape.policies, directory)?,
            service_identities: names(&shape.services),
            node_identities: names(&shape.nodes),
            expires_secs: expires.transpose()?,
            ..Token::new(id("token", name.get_ref()), Secret::new(secret.as_str()))
        })
    }

    /// The IDs of policies that are named.
    fn policies(&self, names: &[Spanned<String>], directory: &Directory) -> Result<Vec<Arc<str>>, AccessFileError> {
        let of = |name: &Spanned<String>| {
            if name.get_ref() == MANAGEMENT_POLICY_NAME {
                return Ok(MANAGEMENT_POLICY_ID.into());
            }
            let found = directory.policy_by_name(name.get_ref()).map(|policy| Arc::clone(&policy.id));
            found.ok_or_else(|| {
                let problem = format!("no policy {:?} in this file; write [policy.{0}]", name.get_ref());
                self.wrong(name.span().start, &problem)
            })
        };
        names.iter().map(of).collect()
    }

    fn apply(&self, directory: &mut Directory, change: AccessChange, at: usize) -> Result<(), AccessFileError> {
        directory.apply(change, 1).map(drop).map_err(|error| match error {
            AccessError::SecretTaken => self.wrong(at, "another token of this file has the same secret"),
            other => self.wrong(at, &other.to_string()),
        })
    }

    fn wrong(&self, at: usize, problem: &str) -> AccessFileError {
        AccessFileError { line: line(self.text, at), problem: problem.to_owned() }
    }
}

/// The line, from 1, on which this byte stands.
fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// A UUID that follows from a name (version 8 of RFC 9562: of our own making).
fn id(kind: &str, name: &str) -> Arc<str> {
    let mut hasher = SipHasher13::new();
    for part in [kind, name] {
        hasher.write(part.as_bytes());
        hasher.write_u8(0xff);
    }
    let hash = hasher.finish128().as_u128();
    Arc::from(uuid::of_bits(hash, 8))
}

/// Shortest secret. Source: none, chosen: 16 random characters of 6 bits are 96 bits.
const SECRET_LEAST_BYTES: usize = 16;

/// Quotes after which a text begins on the next line.
const MULTILINE: [&str; 2] = ["'''\n", "\"\"\"\n"];

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
