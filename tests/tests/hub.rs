//! `CelebA::from_hub` against a stand-in for the hub on this machine: whole, broken in the middle,
//! private, unknown, offline.
//!
//!     cargo test --release -p foresee-tests --features hub --test hub

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use foresee_celeba::{BatchOptions, CelebA, SplitRule, synthetic};
use foresee_tests::forms::{AnyError, ShardOptions, counts, shards};
use foresee_tests::message;

type AnyResult<T = ()> = Result<T, AnyError>;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_secret";
/// Names the dataset to the process that fetches it.
const FETCH: &str = "FORESEE_FETCH";

/// What the hub holds and does.
struct Hub {
    folder: PathBuf,
    /// A file whose download ends in its middle.
    broken: Mutex<Option<String>>,
    /// Files that were asked for, each download once.
    asked: Mutex<Vec<String>>,
}

impl Hub {
    fn start(folder: &Path) -> AnyResult<(Arc<Self>, String)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let hub = Arc::new(Self {
            folder: folder.into(),
            broken: Mutex::default(),
            asked: Mutex::default(),
        });
        let serving = hub.clone();
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| drop(serving.answer(stream)))
        });
        Ok((hub, address))
    }

    fn answer(&self, mut stream: TcpStream) -> AnyResult {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().ok_or("no request")??;
        let mut authorised = false;
        for line in lines {
            let line = line?;
            authorised |= line.eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}"));
            if line.is_empty() {
                break;
            }
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next().ok_or("no method")?, words.next().ok_or("no path")?);
        let path = path.split('?').next().unwrap_or_default();
        if path.contains("/private/") && !authorised {
            return Ok(stream.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )?);
        }
        if path.ends_with("/faces/tree/main") {
            return respond(&mut stream, "application/json", self.listing()?.as_bytes());
        }
        let Some((name, bytes)) = path
            .split_once("/faces/resolve/")
            .and_then(|(_, rest)| self.file(rest.split_once('/')?.1))
        else {
            let answer = "HTTP/1.1 404 Not Found\r\nX-Error-Code: RepoNotFound\r\n\
                          Content-Length: 0\r\nConnection: close\r\n\r\n";
            return Ok(stream.write_all(answer.as_bytes())?);
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nETag: \"{name}-1\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Length: \
             {}\r\nConnection: close\r\n\r\n",
            bytes.len()
        );
        stream.write_all(head.as_bytes())?;
        if method == "HEAD" {
            return Ok(());
        }
        self.asked.lock().map_err(|_| "poisoned")?.push(name.clone());
        let broken = self.broken.lock().map_err(|_| "poisoned")?.as_ref() == Some(&name);
        Ok(stream.write_all(if broken { &bytes[..bytes.len() / 2] } else { &bytes })?)
    }

    fn file(&self, path: &str) -> Option<(String, Vec<u8>)> {
        let name = path.strip_prefix("data/")?;
        Some((name.to_owned(), std::fs::read(self.folder.join(name)).ok()?))
    }

    fn listing(&self) -> AnyResult<String> {
        let mut files = vec![r#"{"type":"file","oid":"1","size":3,"path":"README.md"}"#.to_owned()];
        let mut entries = std::fs::read_dir(&self.folder)?.collect::<std::io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (name, size) =
                (entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len());
            files
                .push(format!(r#"{{"type":"file","oid":"1","size":{size},"path":"data/{name}"}}"#));
        }
        Ok(format!("[{}]", files.join(",")))
    }

    /// The files that were asked for since this was called last.
    fn asked(&self) -> AnyResult<Vec<String>> {
        Ok(std::mem::take(&mut *self.asked.lock().map_err(|_| "poisoned")?))
    }
}

fn respond(stream: &mut TcpStream, kind: &str, body: &[u8]) -> AnyResult {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body)?)
}

/// This test again, in a process that fetches: the hub is named by the environment.
fn fetch(name: &str, hub: &str, home: &Path, environment: &[(&str, &str)]) -> AnyResult<Output> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--exact", "a_dataset_comes_from_the_hub", "--nocapture"])
        .env(FETCH, name)
        .env("HF_ENDPOINT", hub)
        .env("HF_HOME", home);
    ["HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].iter().for_each(
        |name| {
            command.env_remove(name);
        },
    );
    Ok(command.envs(environment.iter().copied()).output()?)
}

/// What the fetching process does.
fn fetched(name: &str) -> AnyResult {
    let told = Arc::new(Mutex::new((0, 0)));
    let progress = told.clone();
    let data = CelebA::from_hub(name, SplitRule::Official, move |done, all| {
        *progress.lock().expect("no panic") = (done, all)
    });
    match data {
        Ok(data) => {
            let options =
                BatchOptions { image_size: 8, batch_size: data.len(), ..BatchOptions::default() };
            let batch = data
                .batches(&(0..data.len()).collect::<Vec<_>>(), &options)
                .next()
                .ok_or("no batch")??;
            assert_eq!(batch.images.dims(), [data.len(), 3, 8, 8]);
            let (done, all) = *told.lock().map_err(|_| "poisoned")?;
            assert_eq!(done, all, "bytes done and in all");
            println!("fetched {:?}", counts(&data));
        }
        Err(e) => println!("refused: {e}"),
    }
    Ok(())
}

fn says(output: &Output, text: &str) {
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && out.contains(text), "{text}\n{out}\n{}", message(output));
}

#[test]
fn a_dataset_comes_from_the_hub() -> AnyResult {
    if let Ok(name) = std::env::var(FETCH) {
        return fetched(&name);
    }
    let folder = tempfile::tempdir()?;
    let (drawn, held, home) =
        (folder.path().join("faces"), folder.path().join("hub"), folder.path().join("home"));
    synthetic::write(&drawn, 40, 0, |_| ())?;
    let data = CelebA::open(&drawn, SplitRule::Official)?;
    shards(
        &held,
        &data,
        &ShardOptions { rows: 8, shard: 16, booleans: true, validation: "valid" },
    )?;
    let (hub, address) = Hub::start(&held)?;

    says(
        &fetch("someone/faces", "http://127.0.0.1:9", &home, &[])?,
        "cannot be reached: check the network",
    );
    says(
        &fetch("someone/others", &address, &home, &[])?,
        "is not on the hub, or you may not read it",
    );
    says(&fetch("private/faces", &address, &home, &[])?, "set HF_TOKEN to a token that may");
    says(
        &fetch("someone/faces", &address, &home, &[("HF_HUB_OFFLINE", "1")])?,
        "is not in the hub's cache, and HF_HUB_OFFLINE forbids",
    );
    assert!(hub.asked()?.is_empty());

    // The download breaks; the next one asks only for what is not whole.
    *hub.broken.lock().map_err(|_| "poisoned")? = Some("train-00001-of-00002.parquet".into());
    says(&fetch("someone/faces", &address, &home, &[])?, "refused: ");
    let before = hub.asked()?;
    assert!(before.contains(&"train-00000-of-00002.parquet".into()), "{before:?}");
    *hub.broken.lock().map_err(|_| "poisoned")? = None;
    let whole = format!("fetched {:?}", counts(&data));
    says(&fetch("someone/faces", &address, &home, &[])?, &whole);
    let after = hub.asked()?;
    assert!(
        !after.contains(&"train-00000-of-00002.parquet".into())
            && after.contains(&"train-00001-of-00002.parquet".into()),
        "{after:?}"
    );

    // What is there is not asked for again, with and without the network.
    says(&fetch("someone/faces", &address, &home, &[])?, &whole);
    says(&fetch("someone/faces", "http://127.0.0.1:9", &home, &[("HF_HUB_OFFLINE", "1")])?, &whole);
    assert!(hub.asked()?.is_empty());
    says(&fetch("private/faces", &address, &home, &[("HF_TOKEN", TOKEN)])?, &whole);
    Ok(())
}
