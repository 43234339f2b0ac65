//! The pages in a real browser: Chromium, driven by ChromeDriver. Skipped, with a word, where they
//! are not installed. FORESEE_SCREENSHOTS=DIR keeps pictures of what was seen.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use support::{AnyResult, foresee, run_folder};
use tempfile::TempDir;

/// How long something may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child that ends with the test, the first line that it prints with some word, and its output,
/// which must stay open.
struct Running {
    child: Child,
    line: String,
    _output: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command, word: &str) -> AnyResult<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("stdout")?);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Err(format!("{command:?} ended").into());
            }
            if line.contains(word) {
                return Ok(Self { child, line: line.trim().to_owned(), _output: lines });
            }
        }
    }

    /// The program, serving a page; its link.
    fn serve(arguments: &[&str]) -> AnyResult<Self> {
        Self::start(Command::new(env!("CARGO_BIN_EXE_foresee")).args(arguments), "http://")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn installed(program: &str) -> bool {
    let quiet = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    quiet(Command::new(program).arg("--version"))
}

/// A browser with a window of its own.
struct Browser {
    client: Client,
    _driver: Running,
    _profile: TempDir,
}

impl Browser {
    /// None, with a word, where no browser is installed.
    async fn open(width: u32, height: u32) -> AnyResult<Option<Self>> {
        if !installed("chromium") || !installed("chromedriver") {
            println!("skipped: chromium and chromedriver are not installed");
            return Ok(None);
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("chromedriver");
        let driver = Running::start(command.arg(format!("--port={port}")), "started successfully")?;
        let profile = tempfile::tempdir()?;
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--disable-dev-shm-usage".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--window-size={width},{height}"),
        ];
        let mut capabilities = Map::new();
        capabilities.insert("goog:chromeOptions".into(), json!({ "args": arguments }));
        capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await?;
        Ok(Some(Self { client, _driver: driver, _profile: profile }))
    }

    async fn run(&self, script: &str) -> AnyResult<Value> {
        Ok(self.client.execute(script, vec![]).await?)
    }

    /// Waits until an expression is true.
    async fn until(&self, expression: &str) -> AnyResult {
        let start = Instant::now();
        while self.run(&format!("return Boolean({expression});")).await? != Value::Bool(true) {
            if start.elapsed() > PATIENCE {
                let text = self.run("return document.body.innerText;").await?;
                return Err(format!("{expression} did not come; the page: {text}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn click(&self, selector: &str) -> AnyResult {
        let found = format!("document.querySelector('{selector}')");
        self.until(&format!("{found} && !{found}.disabled")).await?;
        self.run(&format!("{found}.click();")).await?;
        Ok(())
    }

    async fn text(&self, selector: &str) -> AnyResult<String> {
        let script = format!("return document.querySelector('{selector}').textContent;");
        Ok(self.run(&script).await?.as_str().unwrap_or_default().to_owned())
    }

    /// Nothing lies beyond the window's right edge.
    async fn fits(&self) -> AnyResult {
        let script = "return document.documentElement.scrollWidth - window.innerWidth;";
        let beyond = self.run(script).await?.as_f64().ok_or("a number")?;
        assert!(beyond <= 0., "{beyond} pixels lie beyond the right edge");
        Ok(())
    }

    /// Keeps a picture, if that is asked for.
    async fn keep(&self, name: &str) -> AnyResult {
        if let Some(folder) = std::env::var_os("FORESEE_SCREENSHOTS") {
            std::fs::create_dir_all(&folder)?;
            let file = Path::new(&folder).join(format!("{name}.png"));
            std::fs::write(file, self.client.screenshot().await?)?;
        }
        Ok(())
    }

    async fn close(self) -> AnyResult {
        Ok(self.client.close().await?)
    }
}

fn in_browser(work: impl AsyncFnOnce() -> AnyResult) -> AnyResult {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work())
}

#[test]
fn the_explorer_shows_what_the_program_computes() -> AnyResult {
    in_browser(async || {
        let Some(browser) = Browser::open(1280, 1000).await? else { return Ok(()) };
        let run = run_folder().display().to_string();
        let server = Running::serve(&["explore", "--run", &run])?;
        browser.client.goto(&format!("{}?rule=l1&count=3&n=2", server.line)).await?;
        browser.until("document.querySelectorAll('#answers tbody tr').length == 40").await?;
        browser.until("document.querySelector('#answers .after').textContent.trim()").await?;
        // The numbers that the program saves, beside those on the page.
        let saved = "const face = document.body.dataset.face; const done = arguments[0]; \
                     fetch('/save/numbers.csv?rule=l1&count=3&n=2&face=' + face) \
                     .then((r) => r.text()).then(done);";
        let csv = browser.client.execute_async(saved, vec![]).await?;
        let csv = csv.as_str().ok_or("text")?;
        let head: Vec<&str> = csv.lines().next().ok_or("a head")?.split(',').collect();
        let column = head.iter().position(|c| *c == "probability_after").ok_or("a column")?;
        for (k, line) in csv.lines().skip(1).enumerate() {
            let after: f64 = line.split(',').nth(column).ok_or("a cell")?.parse()?;
            let cell = format!(
                "return document.querySelector('#answers tbody').rows[{k}] \
                 .querySelector('.after').textContent;"
            );
            let shown = browser.run(&cell).await?;
            let shown = shown.as_str().unwrap_or_default().replace(['%', ' ', '\u{a0}'], "");
            assert!((shown.parse::<f64>()? - 100. * after).abs() <= 0.5, "{k}: {shown} {after}");
        }
        browser.keep("explore").await?;
        browser.client.set_window_size(400, 900).await?;
        browser.until("document.querySelector('#answers .after').textContent.trim()").await?;
        browser.fits().await?;
        browser.keep("explore_phone").await?;
        browser.close().await
    })
}

/// Moves a slider as a person does.
async fn slide(browser: &Browser, selector: &str, value: f64) -> AnyResult {
    let script = format!(
        "const slider = document.querySelector('{selector}'); slider.value = {value}; \
         slider.dispatchEvent(new Event('input', {{ bubbles: true }})); \
         slider.dispatchEvent(new Event('change', {{ bubbles: true }}));"
    );
    browser.run(&script).await?;
    Ok(())
}

#[test]
fn a_person_takes_part_in_a_study() -> AnyResult {
    in_browser(async || {
        let Some(browser) = Browser::open(400, 900).await? else { return Ok(()) };
        let folder = tempfile::tempdir()?;
        let choices = folder.path().join("choices.toml");
        std::fs::write(
            &choices,
            "arms = [\"contributions\"]\nfaces = 3\nasked = 2\ntrials = 3\npractice = 1\n\
             checks = 1\n[exclusion]\nmost_failed_checks = 0\nleast_median_seconds = 0.0\n\
             most_unmoved = 1.0",
        )?;
        let study = folder.path().join("study").display().to_string();
        let (run, choices) = (run_folder().display().to_string(), choices.display().to_string());
        foresee(&["study", "new", "--run", &run, "--out", &study, "--choices", &choices])?;
        let server = Running::serve(&["study", "serve", &study])?;
        browser.client.goto(&server.line).await?;
        browser.until("document.querySelector('[data-screen=consent]')").await?;
        browser.fits().await?;
        browser.keep("study_consent").await?;
        browser.click("#agree").await?;
        browser.click("#begin").await?;
        let mut answered = 0;
        let mut reloaded = false;
        loop {
            browser.until("document.querySelector('[data-screen]')").await?;
            let screen = "return document.querySelector('[data-screen]').dataset.screen;";
            let screen = browser.run(screen).await?.as_str().unwrap_or_default().to_owned();
            match screen.as_str() {
                "trial" => {
                    let place = "return document.querySelector('[data-screen]').dataset.place;";
                    let place = browser.run(place).await?;
                    if answered == 2 && !reloaded {
                        reloaded = true;
                        browser.client.refresh().await?;
                        continue;
                    }
                    let has = "return document.querySelector('#instruction') ? \
                               document.querySelector('#instruction').textContent : '';";
                    let instruction = browser.run(has).await?;
                    let high = instruction.as_str().unwrap_or_default().contains("100 %");
                    let value = if high { 100. } else { 0. };
                    browser.fits().await?;
                    browser.keep(&format!("study_trial_{answered}")).await?;
                    slide(&browser, "[data-output=\"0\"]", value).await?;
                    slide(&browser, "[data-output=\"1\"]", value).await?;
                    slide(&browser, "#confidence", 70.).await?;
                    browser.click("#store").await?;
                    answered += 1;
                    let gone = format!(
                        "!document.querySelector('[data-screen=trial][data-place=\"{}\"]')",
                        place.as_str().unwrap_or_default()
                    );
                    browser.until(&gone).await?;
                }
                "finished" => break,
                "consent" => tokio::time::sleep(Duration::from_millis(20)).await,
                other => {
                    browser.keep(&format!("study_{other}")).await?;
                    browser.click("#next").await?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        assert_eq!(answered, 5, "one for practice, three that count, one check");
        let code = browser.text("#code").await?;
        assert_eq!(code.trim().len(), 12, "{code}");
        browser.fits().await?;
        browser.keep("study_finished").await?;
        browser.close().await?;
        drop(server);
        foresee(&["study", "score", &study])?;
        let people = std::fs::read_to_string(Path::new(&study).join("data/people.csv"))?;
        let row = people.lines().nth(1).ok_or("a person")?;
        assert!(row.starts_with("0,contributions,5,0,"), "{row}");
        Ok(())
    })
}

#[test]
fn faces_are_labelled_by_keys_and_answers_taken_back() -> AnyResult {
    in_browser(async || {
        let Some(browser) = Browser::open(400, 900).await? else { return Ok(()) };
        let folder = tempfile::tempdir()?;
        let out = folder.path().join("labels").display().to_string();
        let faces = run_folder().join("faces").display().to_string();
        let arguments = [
            "label",
            "--celeba",
            &faces,
            "--attribute",
            "Smiling",
            "--out",
            &out,
            "--profile",
            "smoke",
            "--every",
            "4",
            "--set",
            "data.image_size=12",
            "--set",
            "model.channels=4",
        ];
        let server = Running::serve(&arguments)?;
        browser.client.goto(&server.line).await?;
        let press = async |key: &str| {
            browser.until("!document.querySelector('#yes').disabled && !busy").await?;
            let before = browser.text("#counts").await?;
            let script = format!(
                "document.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: \
                 true }}));"
            );
            browser.run(&script).await?;
            let changed = format!(
                "document.querySelector('#counts').textContent != {} || \
                 document.querySelector('#undo').disabled",
                serde_json::to_string(&before)?
            );
            browser.until(&changed).await
        };
        browser.until("document.querySelector('#counts').textContent").await?;
        browser.fits().await?;
        for key in ["y", "n", "y", "u", "n", "y"] {
            press(key).await?;
        }
        browser.keep("label").await?;
        let counts = browser.text("#counts").await?;
        assert!(counts.starts_with("4 of "), "{counts}");
        browser
            .until("document.querySelector('#learning').textContent.includes('learned')")
            .await?;
        let csv = "const done = arguments[0]; fetch('/labels.csv').then((r) => r.text()) \
                   .then(done);";
        let csv = browser.client.execute_async(csv, vec![]).await?;
        assert!(csv.as_str().ok_or("text")?.lines().count() >= 5, "{csv}");
        browser.close().await
    })
}
