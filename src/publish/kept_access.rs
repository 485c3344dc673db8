//! The shapes in which policies and tokens lie in the journal. Secrets lie there as they are, as in the tokens file: the
//! journal's file is for its user alone (mode 0600), and Consul's clients read secrets back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    access::{
        Rules,
        directory::{Directory, HashKey, Stored, Touched},
        token::{Policy, Secret, Token},
    },
    catalog::table::Seed,
    publish::journal::{
        Restored, Write,
        documents::{self, DocumentError, Kind},
    },
};

impl Restored {
    /// The policies and tokens that were made by HTTP, as they were stored.
    pub fn directory(&self, seed: Seed, key: HashKey) -> Result<Directory, DocumentError> {
        let policies = documents::of_kind(&self.documents, Kind::Policy).map(|(key, bytes)| policy(key, bytes));
        let tokens = documents::of_kind(&self.documents, Kind::Token).map(|(key, bytes)| token(key, bytes));
        let first = documents::of_kind(&self.documents, Kind::Bootstrap).next();
        let stored = Stored {
            policies: policies.collect::<Result<_, _>>()?,
            tokens: tokens.collect::<Result<_, _>>()?,
            bootstrap_index: first.map_or(Ok(0), |(_, bytes)| documents::record(Kind::Bootstrap, bytes))?,
        };
        Ok(Directory::restore(seed, key, self.index, stored))
    }
}

fn policy(key: &[u8], bytes: &[u8]) -> Result<Policy, DocumentError> {
    let kind = Kind::Policy;
    let record: PolicyRecord<'_> = documents::record(kind, bytes)?;
    let rules = Rules::parse(record.text).map_err(|error| DocumentError { kind, problem: error.to_string() })?;
    Ok(Policy {
        id: documents::text_key(kind, key)?.into(),
        name: record.name.into(),
        description: record.description.into(),
        text: record.text.into(),
        rules: Arc::new(rules),
        create_index: record.create_index,
        modify_index: record.modify_index,
    })
}

fn token(key: &[u8], bytes: &[u8]) -> Result<Token, DocumentError> {
    let record: TokenRecord<'_> = documents::record(Kind::Token, bytes)?;
    let texts = |texts: Vec<&str>| texts.into_iter().map(Arc::from).collect();
    Ok(Token {
        accessor_id: documents::text_key(Kind::Token, key)?.into(),
        secret: Secret::new(record.secret),
        description: record.description.into(),
        policies: texts(record.policies),
        service_identities: texts(record.service_identities),
        node_identities: texts(record.node_identities),
        is_local: record.is_local,
        created_secs: record.created_secs,
        expires_secs: record.expires_secs,
        // The shared store tells it anew; until then the clock counts.
        lease: 0,
        create_index: record.create_index,
        modify_index: record.modify_index,
    })
}

/// What now holds for something that was touched.
pub(super) fn write(directory: &Directory, touched: &Touched) -> Write {
    match touched {
        Touched::Policy(id) => {
            let record = directory.policy(id).map(|policy| PolicyRecord {
                name: &policy.name,
                description: &policy.description,
                text: &policy.text,
                create_index: policy.create_index,
                modify_index: policy.modify_index,
            });
            documents::write(Kind::Policy, id.as_bytes(), record.as_ref())
        }
        Touched::Token(accessor_id) => {
            let record = directory.token(accessor_id).map(|token| token_record(token));
            documents::write(Kind::Token, accessor_id.as_bytes(), record.as_ref())
        }
        Touched::Bootstrap => {
            let made_at = Some(directory.bootstrap_index()).filter(|index| *index > 0);
            documents::write(Kind::Bootstrap, &[], made_at.as_ref())
        }
    }
}

fn token_record(token: &Token) -> TokenRecord<'_> {
    fn texts(texts: &[Arc<str>]) -> Vec<&str> {
        texts.iter().map(|text| &**text).collect()
    }
    TokenRecord {
        secret: token.secret.reveal(),
        description: &token.description,
        policies: texts(&token.policies),
        service_identities: texts(&token.service_identities),
        node_identities: texts(&token.node_identities),
        is_local: token.is_local,
        created_secs: token.created_secs,
        expires_secs: token.expires_secs,
        create_index: token.create_index,
        modify_index: token.modify_index,
    }
}

#[derive(Serialize, Deserialize)]
struct PolicyRecord<'a> {
    name: &'a str,
    description: &'a str,
    text: &'a str,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize, Deserialize)]
struct TokenRecord<'a> {
    secret: &'a str,
    description: &'a str,
    #[serde(borrow)]
    policies: Vec<&'a str>,
    #[serde(borrow)]
    service_identities: Vec<&'a str>,
    #[serde(borrow)]
    node_identities: Vec<&'a str>,
    is_local: bool,
    created_secs: u64,
    expires_secs: Option<u64>,
    create_index: u64,
    modify_index: u64,
}

#[cfg(test)]
#[path = "kept_access_tests.rs"]
mod tests;
