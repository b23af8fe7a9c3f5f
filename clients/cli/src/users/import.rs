//! `ratchet users import`: several batches of lines at the same time, each user completely or not at
//! all. Memory does not grow with the file.

use std::{
    collections::{HashSet, VecDeque},
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use ratchet_core::{
    ids::UserId,
    password::PhcHash,
    second_factor::Enabled,
    user::{User, UserStatus},
};
use ratchet_store::{NewUser, StoreError, Users, users::Imported};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::{check_roles, custom_claims, email, export::Line, name_key, new_id};
use crate::{arguments::Import, connection::Connection, failure::Failure, output, time::now};

/// The longest line, in bytes.
const LINE_BYTES: usize = 16 * 1024;

/// How often a batch is tried before the import stops.
const TRIES: u32 = 6;

#[derive(Debug, Default, Serialize)]
struct Report {
    lines: u64,
    created: u64,
    present: u64,
    refused: u64,
}

#[derive(Serialize)]
struct Refused<'a> {
    line: u64,
    reason: &'a str,
}

/// Users that are written together, with their lines.
#[derive(Default)]
struct Batch {
    first_line: u64,
    lines: Vec<u64>,
    users: Vec<NewUser>,
    factors: Vec<(UserId, Enabled)>,
    keys: HashSet<String>,
}

impl Batch {
    /// Whether a user fits into the same transaction, which cannot write an item twice.
    fn takes(&self, user: &NewUser) -> bool {
        self.users.len() < Users::IMPORT_BATCH
            && keys(user).iter().all(|key| !self.keys.contains(key))
    }

    fn add(&mut self, line: u64, user: NewUser, factor: Option<Enabled>) {
        if self.users.is_empty() {
            self.first_line = line;
        }
        self.keys.extend(keys(&user));
        self.factors.extend(factor.map(|factor| (user.user.id, factor)));
        self.lines.push(line);
        self.users.push(user);
    }
}

fn keys(user: &NewUser) -> [String; 3] {
    [format!("n{}", user.name_key), format!("e{}", user.email), format!("i{}", user.user.id)]
}

struct InFlight {
    first_line: u64,
    lines: Vec<u64>,
    write: JoinHandle<Result<Vec<Imported>, StoreError>>,
}

struct Importer<'a> {
    connection: &'a Connection,
    arguments: &'a Import,
    refused: Box<dyn Write>,
    report: Report,
    in_flight: VecDeque<InFlight>,
    bar: ProgressBar,
}

pub(super) async fn run(
    connection: &Connection,
    arguments: Import,
    json: bool,
) -> Result<(), Failure> {
    let (reader, length) = open(&arguments.file)?;
    let refused: Box<dyn Write> = match &arguments.refused {
        None => Box::new(io::stderr()),
        Some(file) => {
            let cannot = Failure::io(format!("{} cannot be written", file.display()));
            // A continued import adds to the refusals of the previous run.
            let continued = arguments.from_line > 1;
            let mut open = File::options();
            open.create(true).write(true).append(continued).truncate(!continued);
            Box::new(open.open(file).map_err(cannot)?)
        }
    };
    let mut importer = Importer {
        connection,
        arguments: &arguments,
        refused,
        report: Report::default(),
        in_flight: VecDeque::new(),
        bar: bar(length),
    };
    importer.read(reader).await?;
    importer.bar.finish_and_clear();
    let report = importer.report;
    if json {
        output::json(&report)?;
    } else {
        let Report { lines, created, present, refused } = &report;
        let would = if arguments.dry_run { "would be " } else { "" };
        output::line(&format!(
            "{lines} lines: {created} users {would}created, {present} were there already, \
             {refused} refused"
        ))?;
    }
    if report.refused == 0 { Ok(()) } else { Err(Failure::SomeLinesRefused(report.refused)) }
}

fn open(file: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    if file == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let cannot = || Failure::io(format!("{} cannot be read", file.display()));
    let opened = File::open(file).map_err(cannot())?;
    let length = opened.metadata().map_err(cannot())?.len();
    Ok((Box::new(BufReader::new(opened)), Some(length)))
}

/// A progress bar, which only a terminal shows. It counts bytes, like the length of the file.
fn bar(length: Option<u64>) -> ProgressBar {
    let Some(length) = length else { return ProgressBar::new_spinner() };
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}  {eta} left");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Importer<'_> {
    async fn read(&mut self, mut reader: Box<dyn BufRead>) -> Result<(), Failure> {
        let mut batch = Batch::default();
        let mut number = 0;
        while let Some(text) = next_line(&mut reader)? {
            number += 1;
            self.bar.inc(u64::try_from(text.len()).unwrap_or(0).saturating_add(1));
            if number < self.arguments.from_line || text.trim_ascii().is_empty() {
                continue;
            }
            self.report.lines += 1;
            match parse(&text) {
                Err(reason) => self.refuse(number, &reason)?,
                Ok((user, factor)) => {
                    if !batch.takes(&user) {
                        self.send(std::mem::take(&mut batch)).await?;
                    }
                    batch.add(number, user, factor);
                }
            }
        }
        self.send(batch).await?;
        while !self.in_flight.is_empty() {
            self.settle().await?;
        }
        Ok(())
    }

    async fn send(&mut self, batch: Batch) -> Result<(), Failure> {
        if batch.users.is_empty() {
            return Ok(());
        }
        if self.arguments.dry_run {
            self.report.created += u64::try_from(batch.users.len()).unwrap_or(0);
            return Ok(());
        }
        while self.in_flight.len() >= usize::from(self.arguments.parallel) {
            self.settle().await?;
        }
        let users = self.connection.users.clone();
        let (first_line, lines) = (batch.first_line, batch.lines.clone());
        let write = tokio::spawn(async move { write(&users, &batch).await });
        self.in_flight.push_back(InFlight { first_line, lines, write });
        Ok(())
    }

    /// Waits for the oldest batch. If it could not be written, prints where to continue.
    async fn settle(&mut self) -> Result<(), Failure> {
        let Some(oldest) = self.in_flight.pop_front() else { return Ok(()) };
        let result = oldest.write.await.map_err(|error| Failure::machine(&error))?;
        let results = result.inspect_err(|_| {
            eprintln!("interrupted; continue with --from-line {}", oldest.first_line);
        })?;
        for (line, result) in oldest.lines.into_iter().zip(results) {
            match result {
                Imported::Created => self.report.created += 1,
                Imported::Present => self.report.present += 1,
                Imported::NameTaken => self.refuse(line, "another user has the name")?,
                Imported::EmailTaken => self.refuse(line, "another user has the address")?,
                Imported::IdTaken => self.refuse(line, "another user has the id")?,
            }
        }
        self.bar.set_message(format!("{} users", self.report.created));
        Ok(())
    }

    fn refuse(&mut self, line: u64, reason: &str) -> Result<(), Failure> {
        self.report.refused += 1;
        let refused = serde_json::to_string(&Refused { line, reason });
        let refused = refused.map_err(|error| Failure::machine(&error))?;
        let cannot = Failure::io("the refused lines cannot be written");
        writeln!(self.refused, "{refused}").map_err(cannot)
    }
}

/// Writes a batch, and tries again after throttling and conflicts.
async fn write(users: &Users, batch: &Batch) -> Result<Vec<Imported>, StoreError> {
    let mut pause = Duration::from_millis(100);
    for _ in 1..TRIES {
        match users.import(&batch.users, &batch.factors, now()).await {
            Err(StoreError::Unavailable { .. }) => tokio::time::sleep(pause).await,
            result => return result,
        }
        pause *= 2;
    }
    users.import(&batch.users, &batch.factors, now()).await
}

/// The next line without its end; `None` at the end of the file.
fn next_line(reader: &mut dyn BufRead) -> Result<Option<Vec<u8>>, Failure> {
    let mut line = Vec::new();
    let cannot = || Failure::io("the file cannot be read");
    let mut limited = io::Read::take(&mut *reader, u64::try_from(LINE_BYTES).unwrap_or(u64::MAX));
    let read = limited.read_until(b'\n', &mut line).map_err(cannot())?;
    if read == 0 {
        return Ok(None);
    }
    if read == LINE_BYTES && line.last() != Some(&b'\n') {
        // A longer line is not a user, and neither is its rest.
        reader.skip_until(b'\n').map_err(cannot())?;
        line = b"too long".to_vec();
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(line))
}

/// Reads a user. The error never quotes the line, because it contains a password hash.
fn parse(text: &[u8]) -> Result<(NewUser, Option<Enabled>), String> {
    let line: Line = serde_json::from_slice(text).map_err(|_| {
        r#"expected {"name", "email", "password_hash"} and optionally "id", "email_confirmed", "disabled", "roles", "claims", "second_factor""#
            .to_owned()
    })?;
    let say = |failure: Failure| failure.message();
    check_roles(&line.roles).map_err(say)?;
    let id = match &line.id {
        Some(id) => id.parse().map_err(|_| "the id is not a UUID in lower case".to_owned())?,
        None => new_id().map_err(say)?,
    };
    let malformed = || "the second factor is not as an export writes it".to_owned();
    let factor = line.second_factor.as_ref().map(|it| it.parse().ok_or_else(malformed));
    let factor = factor.transpose()?;
    let status = if line.disabled { UserStatus::Disabled } else { UserStatus::Active };
    let user = NewUser {
        name_key: name_key(&line.name).map_err(say)?,
        email: email(&line.email).map_err(say)?,
        password_hash: PhcHash::import(&line.password_hash).map_err(|_| {
            "the password hash is of an unknown kind, or its cost is too high".to_owned()
        })?,
        expires_at: None,
        user: User {
            id,
            name: line.name.trim().to_owned(),
            status,
            email_confirmed: line.email_confirmed,
            second_factor: factor.is_some(),
            has_passkeys: false,
            roles: line.roles,
            claims: custom_claims(line.claims).map_err(say)?,
            cut: None,
        },
    };
    Ok((user, factor))
}
