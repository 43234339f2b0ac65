//! What people answer, as they give it: an SQLite file.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::error::{Result, input};
use crate::hash::sha256;
use crate::web::random_name;

/// The file of answers in the study's folder.
pub(super) const ANSWERS: &str = "answers.sqlite";
/// How long one waits for another program that writes.
const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS study (design_sha256 TEXT NOT NULL, simulated INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS people (
    number INTEGER PRIMARY KEY,
    key TEXT UNIQUE,
    participant TEXT UNIQUE,
    identifiers TEXT NOT NULL,
    code TEXT NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    person INTEGER NOT NULL REFERENCES people,
    place INTEGER NOT NULL,
    after TEXT NOT NULL,
    confidence REAL NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (person, place)
) STRICT;
";

/// The answers of a study. Each is on the disk before anybody is told so.
pub struct Database {
    connection: Mutex<Connection>,
    /// Of the design that they answer.
    design_sha256: String,
}

/// A person who agreed to take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// From 0, in the order of arrival.
    pub number: usize,
    /// What tells the person's browser from others.
    pub key: Option<String>,
    /// The code that shows that all is answered.
    pub code: String,
    pub withdrawn: bool,
    /// What a platform, or the browser, calls the person.
    pub participant: Option<String>,
}

impl Person {
    /// What tells the person's session from others, and is no secret.
    pub fn session(&self) -> String {
        sha256(self.key.as_deref().unwrap_or_default().as_bytes())[..16].to_owned()
    }
}

/// What a person answered to one trial.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    pub place: usize,
    /// The probability after, in percent, of each attribute.
    pub after: Vec<f64>,
    /// From 0 to 1.
    pub confidence: f64,
    pub seconds: f64,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is kept.
    Now,
    /// There was one already, which stays.
    Before,
    /// One before it is missing.
    TooEarly,
    /// The person has withdrawn.
    Withdrawn,
}

fn person(row: &Row) -> rusqlite::Result<Person> {
    Ok(Person {
        number: row.get::<_, i64>(0)? as usize,
        key: row.get(1)?,
        code: row.get(2)?,
        withdrawn: row.get(3)?,
        participant: row.get(4)?,
    })
}

impl Database {
    /// Opens or begins the answers of the study in a folder. `simulated` ones are of another study.
    ///
    /// # Errors
    /// If the file cannot be written, or it holds answers to another design.
    pub fn open(folder: &Path, design_sha256: &str, simulated: bool) -> Result<Self> {
        let path = folder.join(ANSWERS);
        let shown = path.display().to_string();
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(BUSY)?;
            // An answer is on the disk when it is confirmed.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            // What is deleted is overwritten.
            connection.pragma_update(None, "secure_delete", true)?;
            connection.execute_batch(TABLES)?;
            Ok(connection)
        };
        let connection = Mutex::new(open().with_context(|| shown.clone())?);
        let database = Self { connection, design_sha256: design_sha256.to_owned() };
        database.check(design_sha256, simulated, &shown)?;
        Ok(database)
    }

    /// The answers must be to this design; while there is nobody, the design may change.
    fn check(&self, design_sha256: &str, simulated: bool, shown: &str) -> Result<()> {
        self.write(|t| {
            let sql = "SELECT design_sha256, simulated FROM study";
            let kept = t.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let people: i64 = t.query_row("SELECT count(*) FROM people", [], |row| row.get(0))?;
            match kept {
                Some((hash, kind)) if people > 0 => {
                    let (hash, kind): (String, bool) = (hash, kind);
                    if hash != design_sha256 || kind != simulated {
                        return Err(input(format!(
                            "{shown} has answers to another design: design.toml was changed after \
                             the first person agreed to take part; put it back, or make a new study"
                        )));
                    }
                }
                _ => {
                    t.execute("DELETE FROM study", [])?;
                    let sql = "INSERT INTO study VALUES (?1, ?2)";
                    t.execute(sql, params![design_sha256, simulated])?;
                }
            }
            Ok(())
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything or nothing.
    fn write<T>(&self, work: impl FnOnce(&Transaction) -> Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let begin = TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(begin).context("the answers")?;
        let result = work(&transaction)?;
        transaction.commit().context("the answers")?;
        Ok(result)
    }

    /// The person with a key.
    pub(super) fn person(&self, key: &str) -> Result<Option<Person>> {
        let sql = "SELECT number, key, code, withdrawn, participant FROM people WHERE key = ?1";
        let found = self.lock().query_row(sql, [key], person).optional();
        found.context("the people")
    }

    /// A new person, or the one who came with this name of a platform before; `None` if `most`
    /// people are there already.
    pub(super) fn admit(
        &self,
        participant: Option<&str>,
        identifiers: &str,
        code: &str,
        most: usize,
    ) -> Result<Option<Person>> {
        let code = if code.is_empty() { random_name()?[..12].to_uppercase() } else { code.into() };
        let key = random_name()?;
        self.write(|t| {
            let kept: String = t.query_row("SELECT design_sha256 FROM study", [], |r| r.get(0))?;
            if kept != self.design_sha256 {
                let reason = "the design was changed while it is served: start the server anew";
                return Err(input(reason));
            }
            let sql = "SELECT number, key, code, withdrawn, participant FROM people \
                       WHERE participant = ?1";
            let known = t.query_row(sql, [participant], person).optional()?;
            if known.is_some() {
                return Ok(known);
            }
            let count: i64 = t.query_row("SELECT count(*) FROM people", [], |row| row.get(0))?;
            if count as usize >= most {
                return Ok(None);
            }
            let sql = "INSERT INTO people (number, key, participant, identifiers, code) \
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            t.execute(sql, params![count, key, participant, identifiers, code])?;
            let number = count as usize;
            let participant = participant.map(str::to_owned);
            Ok(Some(Person { number, key: Some(key), code, withdrawn: false, participant }))
        })
    }

    /// Keeps an answer, if all before it are given, and only once.
    pub(super) fn answer(&self, person: usize, given: &Given) -> Result<Kept> {
        let after = serde_json::to_string(&given.after)?;
        self.write(|t| {
            let sql = "SELECT withdrawn FROM people WHERE number = ?1";
            if t.query_row(sql, [person as i64], |row| row.get(0))? {
                return Ok(Kept::Withdrawn);
            }
            let sql = "SELECT count(*) FROM answers WHERE person = ?1";
            let count: i64 = t.query_row(sql, [person as i64], |row| row.get(0))?;
            if given.place > count as usize {
                return Ok(Kept::TooEarly);
            }
            let sql = "INSERT INTO answers VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
            let Given { place, confidence, seconds, .. } = given;
            let (person, place) = (person as i64, *place as i64);
            let added = t.execute(sql, params![person, place, after, confidence, seconds])?;
            Ok(if added == 1 { Kept::Now } else { Kept::Before })
        })
    }

    /// How many trials a person answered: the place of the next one.
    pub(super) fn answered(&self, person: usize) -> Result<usize> {
        let sql = "SELECT count(*) FROM answers WHERE person = ?1";
        let count: i64 = self.lock().query_row(sql, [person as i64], |row| row.get(0))?;
        Ok(count as usize)
    }

    /// Deletes a person's answers, identifiers and code. What is left is that somebody withdrew.
    pub(super) fn withdraw(&self, person: usize) -> Result<()> {
        self.write(|t| {
            t.execute("DELETE FROM answers WHERE person = ?1", [person as i64])?;
            let sql = "UPDATE people SET withdrawn = 1, participant = NULL, identifiers = '{}', \
                       code = '' WHERE number = ?1";
            t.execute(sql, [person as i64])?;
            Ok(())
        })?;
        // The journal has it still.
        let truncated = self.lock().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        truncated.context("the answers")
    }

    /// Everybody, with what they answered.
    pub(super) fn everybody(&self) -> Result<Vec<(Person, Vec<Given>)>> {
        let connection = self.lock();
        let sql = "SELECT number, key, code, withdrawn, participant FROM people ORDER BY number";
        let mut people = connection.prepare(sql)?;
        let people = people.query_map([], person)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let sql = "SELECT place, after, confidence, seconds FROM answers WHERE person = ?1 \
                   ORDER BY place";
        let mut answers = connection.prepare(sql)?;
        let mut of = |person: &Person| -> Result<Vec<Given>> {
            let rows = answers.query_map([person.number as i64], |row| {
                let (place, after): (i64, String) = (row.get(0)?, row.get(1)?);
                Ok((place as usize, after, row.get(2)?, row.get(3)?))
            })?;
            rows.map(|row| {
                let (place, after, confidence, seconds) = row?;
                let after = serde_json::from_str(&after).context("an answer")?;
                Ok(Given { place, after, confidence, seconds })
            })
            .collect()
        };
        people.into_iter().map(|person| Ok((person.clone(), of(&person)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(place: usize, first: f64) -> Given {
        Given { place, after: vec![first, 0.1 + 0.2], confidence: 0.7, seconds: 3.5 }
    }

    #[test]
    fn answers_are_kept_once_and_in_order() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let database = Database::open(folder.path(), "design", false)?;
        let first = database.admit(Some("P1"), "{}", "", 2)?.context("a person")?;
        let key = first.key.clone().context("a key")?;
        assert_eq!(database.admit(Some("P1"), "{}", "", 2)?.as_ref(), Some(&first));
        assert_eq!(database.admit(None, "{}", "C", 2)?.context("a person")?.number, 1);
        assert_eq!(database.admit(Some("P3"), "{}", "", 2)?, None);
        assert_eq!(database.answer(0, &given(1, 5.))?, Kept::TooEarly);
        assert_eq!(database.answer(0, &given(0, 5.))?, Kept::Now);
        assert_eq!(database.answer(0, &given(0, 6.))?, Kept::Before);
        drop(database);
        let database = Database::open(folder.path(), "design", false)?;
        assert_eq!(database.person(&key)?, Some(first));
        assert_eq!(database.everybody()?[0].1, [given(0, 5.)]);
        assert!(Database::open(folder.path(), "another", false).is_err());
        assert!(Database::open(folder.path(), "design", true).is_err());
        database.withdraw(0)?;
        assert_eq!(database.answered(0)?, 0);
        assert!(database.person(&key)?.context("a person")?.withdrawn);
        Ok(())
    }
}
