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
    seat INTEGER NOT NULL,
    seen INTEGER NOT NULL,
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

/// The version of these tables.
const FORM: i64 = 2;

/// What is read of a person.
const PERSON: &str = "SELECT number, seat, key, code, withdrawn, participant FROM people";

/// The first seat that nobody holds any more, who finished or was seen lately: withdrawn people and
/// those who gave up leave theirs.
const FREE_SEAT: &str = "
SELECT min(seat) FROM people WHERE seat NOT IN (
    SELECT seat FROM people WHERE NOT withdrawn AND (
        seen >= ?1 OR (SELECT count(*) FROM answers WHERE person = number) >= ?2
    )
)";

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
    /// What decides the arm and the items. Who comes after somebody gave up has that seat.
    pub seat: usize,
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

/// Who is let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admission {
    /// People at most, besides those who gave up or withdrew.
    pub most: usize,
    /// Trials of a person.
    pub trials: usize,
    /// Seconds since 1970.
    pub now: i64,
    /// Seconds without an answer after which who has not finished has given up.
    pub patience: i64,
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
        seat: row.get::<_, i64>(1)? as usize,
        key: row.get(2)?,
        code: row.get(3)?,
        withdrawn: row.get(4)?,
        participant: row.get(5)?,
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
            Ok(connection)
        };
        let connection = open().with_context(|| shown.clone())?;
        make_tables(&connection, &shown)?;
        let connection = Mutex::new(connection);
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
        let sql = format!("{PERSON} WHERE key = ?1");
        let found = self.lock().query_row(&sql, [key], person).optional();
        found.context("the people")
    }

    /// A new person, or the one who came with this name of a platform before; `None` if as many
    /// people as may are there already.
    pub(super) fn admit(
        &self,
        participant: Option<&str>,
        identifiers: &str,
        code: &str,
        admission: Admission,
    ) -> Result<Option<Person>> {
        let code = if code.is_empty() { random_name()?[..12].to_uppercase() } else { code.into() };
        let key = random_name()?;
        self.write(|t| {
            let kept: String = t.query_row("SELECT design_sha256 FROM study", [], |r| r.get(0))?;
            if kept != self.design_sha256 {
                let reason = "the design was changed while it is served: start the server anew";
                return Err(input(reason));
            }
            let sql = format!("{PERSON} WHERE participant = ?1");
            let known = t.query_row(&sql, [participant], person).optional()?;
            if let Some(known) = known {
                let sql = "UPDATE people SET seen = ?2 WHERE number = ?1 AND NOT withdrawn";
                t.execute(sql, [known.number as i64, admission.now])?;
                return Ok(Some(known));
            }
            let Some(seat) = seat(t, admission)? else { return Ok(None) };
            let number: i64 = t.query_row("SELECT count(*) FROM people", [], |row| row.get(0))?;
            let sql = "INSERT INTO people \
                       (number, seat, seen, key, participant, identifiers, code) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let now = admission.now;
            t.execute(sql, params![number, seat, now, key, participant, identifiers, code])?;
            let participant = participant.map(str::to_owned);
            let (number, seat) = (number as usize, seat as usize);
            Ok(Some(Person { number, seat, key: Some(key), code, withdrawn: false, participant }))
        })
    }

    /// Keeps an answer, if all before it are given, and only once. `now` is in seconds since 1970.
    pub(super) fn answer(&self, person: usize, given: &Given, now: i64) -> Result<Kept> {
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
            t.execute("UPDATE people SET seen = ?2 WHERE number = ?1", [person, now])?;
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
                       code = '', seen = 0 WHERE number = ?1";
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
        let mut people = connection.prepare(&format!("{PERSON} ORDER BY number"))?;
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

/// Makes the tables of a new file; those of another version are refused.
fn make_tables(connection: &Connection, shown: &str) -> Result<()> {
    let is_made = "SELECT count(*) FROM sqlite_schema WHERE name = 'people'";
    let tables: i64 = connection.query_row(is_made, [], |row| row.get(0))?;
    let form: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if tables > 0 && form != FORM {
        return Err(input(format!(
            "{shown} is of form {form}, this program reads form {FORM}: another version of Foresee \
             made it"
        )));
    }
    connection.execute_batch(TABLES).with_context(|| shown.to_owned())?;
    Ok(connection.pragma_update(None, "user_version", FORM)?)
}

/// The seat of a new person: the first that is free again, or the next one, if there is one.
fn seat(t: &Transaction, admission: Admission) -> Result<Option<i64>> {
    let Admission { most, trials, now, patience } = admission;
    let since = now.saturating_sub(patience);
    let free: Option<i64> =
        t.query_row(FREE_SEAT, [since, trials as i64], |row| row.get(0)).context("the people")?;
    if free.is_some() {
        return Ok(free);
    }
    let sql = "SELECT coalesce(max(seat) + 1, 0) FROM people";
    let next: i64 = t.query_row(sql, [], |row| row.get(0))?;
    Ok((next < most.min(i64::MAX as usize) as i64).then_some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMISSION: Admission = Admission { most: 2, trials: 3, now: 1000, patience: 60 };

    fn given(place: usize, first: f64) -> Given {
        Given { place, after: vec![first, 0.1 + 0.2], confidence: 0.7, seconds: 3.5 }
    }

    #[test]
    fn answers_are_kept_once_and_in_order() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let database = Database::open(folder.path(), "design", false)?;
        let first = database.admit(Some("P1"), "{}", "", ADMISSION)?.context("a person")?;
        let key = first.key.clone().context("a key")?;
        assert_eq!(database.admit(Some("P1"), "{}", "", ADMISSION)?.as_ref(), Some(&first));
        assert_eq!(database.admit(None, "{}", "C", ADMISSION)?.context("a person")?.number, 1);
        assert_eq!(database.admit(Some("P3"), "{}", "", ADMISSION)?, None);
        assert_eq!(database.answer(0, &given(1, 5.), 1000)?, Kept::TooEarly);
        assert_eq!(database.answer(0, &given(0, 5.), 1000)?, Kept::Now);
        assert_eq!(database.answer(0, &given(0, 6.), 1000)?, Kept::Before);
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

    #[test]
    fn who_gives_up_or_withdraws_leaves_the_seat_to_somebody_else() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let database = Database::open(folder.path(), "design", false)?;
        let come = |now: i64| -> Result<Option<usize>> {
            let person = database.admit(None, "{}", "", Admission { now, ..ADMISSION })?;
            Ok(person.map(|person| person.seat))
        };
        assert_eq!((come(0)?, come(10)?, come(20)?), (Some(0), Some(1), None));
        // The first finishes, the second answers once and is not seen again.
        for place in 0..3 {
            assert_eq!(database.answer(0, &given(place, 5.), 30)?, Kept::Now);
        }
        assert_eq!(database.answer(1, &given(0, 5.), 40)?, Kept::Now);
        assert_eq!((come(100)?, come(101)?, come(102)?), (None, Some(1), None));
        // Somebody withdraws.
        database.withdraw(0)?;
        assert_eq!((come(103)?, come(104)?), (Some(0), None));
        // Who gave up may go on.
        assert_eq!(database.answer(1, &given(1, 5.), 105)?, Kept::Now);
        Ok(())
    }

    #[test]
    fn tables_of_another_version_are_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        drop(Database::open(folder.path(), "design", false)?);
        let connection = Connection::open(folder.path().join(ANSWERS))?;
        connection.pragma_update(None, "user_version", 1)?;
        drop(connection);
        let refused = Database::open(folder.path(), "design", false).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("is of form 1"), "{refused}");
        Ok(())
    }
}
