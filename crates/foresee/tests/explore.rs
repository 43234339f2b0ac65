//! The server of `foresee explore`, asked through its router, on a run of some seconds.

mod support;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use candle_core::{Device, Tensor};
use foresee::artifacts::{Channel, ChannelCorrelation, ChannelStatisticsFile, PruningCurves};
use foresee::explore::router;
use foresee::operate::Opened;
use foresee::run::Run;
use foresee::web::Guard;
use foresee_celeba::{CelebA, Crop, Normalisation, Preprocessing, Split, SplitRule};
use foresee_model::Network;
use foresee_perturb::{
    AttentionModel, GatedModel, Noise, PowerCurve, PrunePlan, PruneRule, Takeover, Victim,
    add_noise,
};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use support::{Answer, AnyResult, HOST, Server, foresee, run_folder};

/// The server of the opened.
fn start() -> AnyResult<Server> {
    let opened = Opened::open(Run::open(run_folder())?, Device::Cpu)?;
    Server::new(router(opened, Guard::new(HOST.parse()?)?))
}

/// The logits that an answer has after the operation.
fn after(answer: &Answer) -> AnyResult<Vec<f32>> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let document = answer.json()?;
    let rows = document["attributes"].as_array().ok_or("attributes")?;
    let logit = |row: &Value| Ok(row["after"].as_f64().ok_or("a logit")? as f32);
    rows.iter().map(logit).collect()
}

/// What the crates compute with, opened without the program.
struct Direct {
    network: Network,
    image: Tensor,
    face: usize,
    test: Vec<usize>,
    image_file: Vec<u8>,
}

fn direct() -> AnyResult<Direct> {
    let folder = run_folder();
    let (network, card) = Network::load(&folder.join("model.safetensors"), &Device::Cpu)?;
    let data = CelebA::open(folder.join("faces"), SplitRule::Official)?;
    let test = data.split(Split::Test)?;
    let face = test[1];
    let normalisation = Normalisation { mean: card.mean, deviation: card.deviation };
    let image_size = card.image_size;
    let preprocessing = Preprocessing { crop: Crop::Square, image_size, normalisation };
    let batch = data.batches_in_order(&[face], &preprocessing, 1).next().ok_or("a face")??;
    let image_file = data.image_bytes(face)?;
    Ok(Direct { network: network.frozen(), image: batch.images, face, test, image_file })
}

#[test]
fn the_page_and_its_files_are_served_with_their_headers() -> AnyResult {
    let server = start()?;
    for (address, kind, text) in [
        ("/", "text/html; charset=utf-8", "synthetic (drawn)"),
        ("/explore.js", "text/javascript; charset=utf-8", "use strict"),
        ("/explore.css", "text/css; charset=utf-8", "@media print"),
    ] {
        let answer = server.get(address)?;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], kind);
        assert!(answer.text().contains(text), "{address}");
        let policy = answer.headers["content-security-policy"].to_str()?;
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    }
    let page = server.get("/")?.text();
    for inline in ["<style", " style=", "onclick", "http://", "https://"] {
        assert!(!page.contains(inline), "{inline}");
    }
    Ok(())
}

#[test]
fn a_link_gives_the_same_page_again() -> AnyResult {
    let server = start()?;
    let face = direct()?.face;
    let link = format!(
        "/?face={face}&attribute=20&n=3&beta=0.1&sigma=0.25&noise_seed=7&rule=lasso&count=5\
         &takeover=partner&people=50&challenge=12&filter=31&has=no&sort=wrong&of=8&by=contribution\
         &method=lrp"
    );
    let page = server.get(&link)?.text();
    for part in [
        &format!("data-face=\"{face}\""),
        "data-attribute=\"20\"",
        "id=\"tone\" type=\"checkbox\" checked",
        "value=\"3\"",
        "value=\"0.1\"",
        "value=\"0.25\"",
        "value=\"lasso\" selected",
        "value=\"partner\" selected",
        "step=\"1\" value=\"5\"",
        "max=\"200\" value=\"50\"",
        "id=\"forecast\" type=\"checkbox\" checked",
        "value=\"no\" selected",
        "value=\"wrong\" selected",
        "value=\"contribution\" selected",
        "value=\"lrp\" selected",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(server.get("/?channels=4,2")?.text().contains("data-pruned=\"4,2\""));
    let broken = server.get("/?count=99&rule=lower")?;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    assert!(broken.text().contains("from 0 to 15: of 16 channels one stays at least"));
    for (face, said) in [("0", "none of the run"), ("u0123456789abcdef", "not kept any more")] {
        let gone = server.get(&format!("/?face={face}"))?;
        assert_eq!(gone.status, StatusCode::BAD_REQUEST, "{face}");
        assert!(gone.text().contains(said) && gone.text().contains("You see the first face"));
    }
    Ok(())
}

#[test]
fn logits_are_those_that_the_crates_compute() -> AnyResult {
    let server = start()?;
    let Direct { network, image, face, .. } = direct()?;
    let features = network.features(&image)?;
    let values = |logits: &Tensor| logits.squeeze(0)?.to_vec1::<f32>();
    let operate = |query: &str| after(&server.get(&format!("/api/operate?face={face}&{query}"))?);
    assert_eq!(operate("")?, values(&network.logits(&features)?)?);

    let curve = PowerCurve::new(2., 0.1)?;
    let transformed = network.logits_with_curves(&features, &[&curve])?.remove(0);
    assert_eq!(operate("n=2&beta=0.1")?, values(&transformed)?);

    let (mean, deviation) = (vec![0.5; 3], vec![0.5; 3]);
    let noise = Noise { sigma: 0.2, clip: true, mean, deviation, seed: 5 };
    let noisy = network.features(&add_noise(&image, &[face], &noise)?)?;
    assert_eq!(operate("sigma=0.2&noise_seed=5")?, values(&network.logits(&noisy)?)?);

    let run = Run::open(run_folder())?;
    let norms: Vec<f64> = run.read::<Vec<Channel>>()?.iter().map(|c| c.filter_l1).collect();
    let correlation = run.read::<ChannelCorrelation>()?.0.rows;
    let order = PrunePlan::semantic(&correlation, &norms, Victim::Lower, false)?.order();
    let statistics = ChannelStatisticsFile::read(run_folder())?;
    for takeover in Takeover::ALL {
        let cut = statistics.cut(&order[..6], takeover, false)?;
        let expected = values(&network.logits_of_cuts(&features, &[&cut])?.remove(0))?;
        let query = format!("rule=lower&count=6&takeover={}", takeover.id());
        assert_eq!(operate(&query)?, expected, "{query}");
        let list: Vec<String> = order[..6].iter().map(usize::to_string).collect();
        let query = format!("channels={}&takeover={}", list.join(","), takeover.id());
        assert_eq!(operate(&query)?, expected, "{query}");
    }
    // Both, on noise: the smaller network with the curve.
    let cut = statistics.cut(&order[..6], Takeover::Partner, false)?;
    let kept: Vec<u32> = cut.kept().iter().map(|&c| c as u32).collect();
    let kept = noisy.contiguous()?.index_select(&Tensor::new(kept, &Device::Cpu)?, 1)?;
    let expected = values(&network.cut(&cut)?.logits_with_curves(&kept, &[&curve])?.remove(0))?;
    let query = "sigma=0.2&noise_seed=5&n=2&beta=0.1&rule=lower&count=6&takeover=partner";
    for (got, expected) in operate(query)?.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-5, "{got} and {expected}");
    }
    Ok(())
}

#[test]
fn the_accuracy_on_many_faces_is_that_of_the_stage_prune() -> AnyResult {
    let server = start()?;
    let run = Run::open(run_folder())?;
    let points = run.read::<PruningCurves>()?.points;
    let measured = |point: &foresee::artifacts::PruningPoint| {
        (point.rule, point.takeover, point.pruned) == (PruneRule::Lasso, Takeover::Partner, 8)
    };
    let (point, _) = points.iter().find(|(point, _)| measured(point)).ok_or("a point")?;
    let address = "/api/population?rule=lasso&count=8&takeover=partner";
    let effect = server.get(address)?.json()?;
    assert_eq!(effect["faces"], point.images);
    let number = |name: &str| effect[name].as_f64().unwrap_or(f64::NAN);
    assert!((number("after") - point.accuracy).abs() < 1e-9);
    assert!((number("after_standard_error") - point.standard_error).abs() < 1e-9);
    // A newer request of the same page overtakes an older one.
    assert_eq!(server.get(&format!("{address}&tab=1&turn=2"))?.status, StatusCode::OK);
    assert_eq!(server.get(&format!("{address}&tab=1&turn=1"))?.status, StatusCode::CONFLICT);
    Ok(())
}

#[test]
fn what_is_out_of_range_is_a_bad_request_that_says_what_to_do() -> AnyResult {
    let server = start()?;
    let train = (0..).find(|face| !direct().is_ok_and(|d| d.test.contains(face))).unwrap_or(0);
    for query in [
        "face=99999999",
        &format!("face={train}"),
        "face=u0123456789abcdef",
        "face=..%2f..%2fx",
        "attribute=40",
        "n=-1",
        "n=NaN",
        "beta=inf",
        "sigma=11",
        "rule=lower&count=16",
        "channels=1,1",
        "takeover=all",
        "count=1",
        "people=0",
        "unknown=1",
        "n=1&n=2",
    ] {
        let answer = server.get(&format!("/api/operate?{query}"))?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {}", answer.text());
        assert!(answer.json()?["error"].as_str().is_some_and(|text| text.len() > 20), "{query}");
    }
    assert_eq!(server.get("/../../etc/passwd")?.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/api/upload")?.status, StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}

#[test]
fn other_hosts_and_origins_are_refused() -> AnyResult {
    let server = start()?;
    let status = |headers: &[(&str, &str)]| -> AnyResult<u16> {
        let mut request = Request::get("/api/face");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(server.send(request.body(Body::empty())?)?.status.as_u16())
    };
    assert_eq!(status(&[("host", HOST)])?, 200);
    assert_eq!(status(&[("host", "evil.example:4321")])?, 403);
    assert_eq!(status(&[])?, 403);
    assert_eq!(status(&[("host", HOST), ("origin", "http://evil.example")])?, 403);
    assert_eq!(status(&[("host", HOST), ("origin", "http://127.0.0.1:4321")])?, 200);
    assert_eq!(status(&[("host", HOST), ("sec-fetch-site", "cross-site")])?, 403);
    Ok(())
}

#[test]
fn an_image_of_ones_own_is_answered_and_what_is_none_is_refused() -> AnyResult {
    let server = start()?;
    let Direct { network, image, image_file, .. } = direct()?;
    let sent = server.post("/api/upload", image_file)?.json()?;
    let face = sent["face"].as_str().ok_or("a face")?;
    let answer = server.get(&format!("/api/operate?face={face}"))?;
    let expected = network.logits(&network.features(&image)?)?.squeeze(0)?.to_vec1::<f32>()?;
    assert_eq!(after(&answer)?, expected);
    assert!(answer.json()?["attributes"][0]["label"].is_null());

    let mut bomb = vec![];
    drop(png::Encoder::new(&mut bomb, 60_000, 60_000).write_header()?);
    for file in [bomb, b"GIF89a".to_vec(), vec![], vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 1], vec![7; 99]]
    {
        let answer = server.post("/api/upload", file)?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    }
    let long = server.post("/api/upload", vec![0u8; (16 << 20) + 1])?;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}

#[test]
fn a_forecast_is_judged_beside_the_rules() -> AnyResult {
    let server = start()?;
    let face = direct()?.face;
    let query = format!("face={face}&rule=lower&count=4&challenge=3");
    let attributes = server.get(&format!("/api/challenge?{query}"))?.json()?;
    let changes = server.get(&format!("/api/operate?{query}"))?.json()?;
    let observed: Vec<f64> = attributes
        .as_array()
        .ok_or("attributes")?
        .iter()
        .filter_map(|k| {
            let row = &changes["attributes"][k.as_u64()? as usize];
            Some(row["after"].as_f64()? - row["before"].as_f64()?)
        })
        .collect();
    let body = serde_json::json!({ "forecast": observed, "earlier": [] }).to_string();
    let judged = server.post(&format!("/api/forecast?{query}"), body)?.json()?;
    // Who says what happens is perfect; "nothing changes" has no skill.
    let scores = judged["scores"].as_array().ok_or("scores")?;
    assert_eq!(scores.len(), 4, "{judged}");
    assert!((scores[0]["skill"].as_f64().ok_or("skill")? - 1.).abs() < 1e-9);
    assert!((scores[0]["rank_agreement"].as_f64().ok_or("rank")? - 1.).abs() < 1e-9);
    assert_eq!((&scores[3]["skill"], &scores[3]["rank_agreement"]), (&0f64.into(), &Value::Null));
    // A second round with the first.
    let again =
        serde_json::json!({ "forecast": [0., 0., 0., 0., 0.], "earlier": [judged["round"]] });
    let second = server.post(&format!("/api/forecast?{query}"), again.to_string())?.json()?;
    assert_eq!(second["scores"][0]["rounds"], 2);
    assert!((second["scores"][0]["skill"].as_f64().ok_or("skill")? - 0.5).abs() < 1e-9);
    for body in ["", "{}", "{\"forecast\":[1],\"earlier\":[]}", "[", "{\"forecast\":[1e999]}"] {
        let refused = server.post(&format!("/api/forecast?{query}"), body)?;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
    }
    Ok(())
}

#[test]
fn faces_are_listed_and_pictures_and_files_are_made() -> AnyResult {
    let server = start()?;
    let Direct { face, test, .. } = direct()?;
    let listed = server.get("/api/faces")?.json()?;
    assert_eq!(listed["total"], test.len());
    let with = server.get("/api/faces?filter=20&has=yes")?.json()?["total"].as_u64();
    let without = server.get("/api/faces?filter=20&has=no")?.json()?["total"].as_u64();
    assert_eq!(with.zip(without).map(|(a, b)| a + b), Some(test.len() as u64));
    for address in [
        "/image/thumbnail.png?",
        "/image/face.png?",
        "/image/mask.png?channel=3&",
        "/image/mask.png?channel=3&by=contribution&",
        "/image/attribution.png?method=grad-cam&",
        "/save/figure?format=png&n=2&",
    ] {
        let answer = server.get(&format!("{address}face={face}"))?;
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.text());
        assert!(answer.body.starts_with(b"\x89PNG"), "{address}");
    }
    assert!(server.get("/save/figure?format=pdf")?.body.starts_with(b"%PDF"));
    let svg = server.get("/save/figure?n=2")?.text();
    assert!(svg.contains("SYNTHETIC FACES") && svg.contains("tone curve n = 2"));
    assert_eq!(server.get("/save/figure?format=tikz")?.status, StatusCode::BAD_REQUEST);
    let masks = server.get(&format!("/api/masks?face={face}"))?.json()?;
    let strengths: Vec<f64> =
        masks.as_array().ok_or("masks")?.iter().filter_map(|mask| mask["mask"].as_f64()).collect();
    assert!(strengths.len() == 8 && strengths.is_sorted_by(|a, b| a >= b), "{strengths:?}");

    let csv = server.get(&format!("/save/numbers.csv?face={face}&rule=l1&count=3"))?.text();
    let frame = foresee_report::frame::parse_csv(&csv)?;
    let column = |name: &str| foresee_report::frame::values::<f64>(&frame, name);
    let (before, after) = (column("logit_before")?, column("logit_after")?);
    assert_eq!(before.len(), 40);
    for ((before, after), change) in before.iter().zip(&after).zip(column("change")?) {
        assert!((after - before - change).abs() < 1e-9);
    }
    assert!(csv.lines().skip(1).all(|line| line.ends_with(",synthetic")));
    Ok(())
}

#[test]
fn a_model_file_answers_as_its_run_and_is_named() -> AnyResult {
    let scratch = tempfile::tempdir()?;
    let (model, faces) = (run_folder().join("model.safetensors"), run_folder().join("faces"));
    let opened = Opened::open_model(&model, &faces, scratch.path(), Device::Cpu)?;
    let server = Server::new(router(opened, Guard::new(HOST.parse()?)?))?;
    let of_run = start()?;
    let query = "/api/operate?channels=1,2&sigma=0.1&n=2&beta=0.1";
    assert_eq!(after(&server.get(query)?)?, after(&of_run.get(query)?)?);
    // Its statistics are there.
    let query = "/api/operate?rule=lower&count=2&takeover=least_squares";
    assert_eq!(after(&server.get(query)?)?.len(), 40);
    let page = server.get("/")?.text();
    assert!(page.contains("the network of model.safetensors, which was trained on"), "{page}");
    assert!(!page.contains("compacted"), "{page}");
    Ok(())
}

#[test]
fn of_a_compacted_model_the_page_says_so() -> AnyResult {
    let scratch = tempfile::tempdir()?;
    let compact = scratch.path().join("compact.safetensors");
    let [run, file] = [run_folder(), &compact].map(|path| path.display().to_string());
    foresee(&["compact", "--run", &run, "--tolerance", "1e-2", "--out", &file])?;
    let folder = scratch.path().join("run");
    let faces = run_folder().join("faces");
    let opened = Opened::open_model(&compact, &faces, &folder, Device::Cpu)?;
    let server = Server::new(router(opened, Guard::new(HOST.parse()?)?))?;
    let page = server.get("/")?.text();
    assert!(page.contains("This network was compacted at tolerance 0.01"), "{page}");
    Ok(())
}

#[test]
fn without_statistics_the_command_that_makes_them_is_named() -> AnyResult {
    let folder = tempfile::tempdir()?;
    for file in ["manifest.json", "model.safetensors"] {
        std::fs::copy(run_folder().join(file), folder.path().join(file))?;
    }
    let mut run = Run::open(folder.path())?;
    run.manifest.data.path = run_folder().join("faces");
    let opened = Opened::open(run, Device::Cpu)?;
    let server = Server::new(router(opened, Guard::new(HOST.parse()?)?))?;
    assert_eq!(server.get("/api/operate?channels=1,2")?.status, StatusCode::OK);
    for query in ["rule=lower&count=2", "channels=1&takeover=partner"] {
        let answer = server.get(&format!("/api/operate?{query}"))?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text().contains("measure --run"), "{}", answer.text());
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn the_command_prints_its_link_and_ends_with_ctrl_c() -> AnyResult {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Command, Stdio};

    let mut command = Command::new(env!("CARGO_BIN_EXE_foresee"));
    command.arg("explore").arg("--run").arg(run_folder());
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut link = String::new();
    BufReader::new(server.stdout.take().ok_or("stdout")?).read_line(&mut link)?;
    let address = link.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
    let address = address.ok_or(link.clone())?;
    let mut socket = std::net::TcpStream::connect(address)?;
    write!(socket, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    socket.read_to_string(&mut page)?;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("Explore a trained network"));
    // SAFETY: a signal to a child that was not waited for.
    assert_eq!(unsafe { libc::kill(server.id() as i32, libc::SIGINT) }, 0);
    assert!(server.wait()?.success());
    Ok(())
}

/// A request that nobody should send.
fn hostile(rng: &mut ChaCha8Rng) -> AnyResult<Request<Body>> {
    const PATHS: [&str; 19] = [
        "/",
        "/api/faces",
        "/api/face",
        "/api/masks",
        "/api/operate",
        "/api/population",
        "/api/challenge",
        "/api/forecast",
        "/api/upload",
        "/image/thumbnail.png",
        "/image/face.png",
        "/image/mask.png",
        "/image/attribution.png",
        "/save/figure",
        "/save/numbers.csv",
        "/explore.js",
        "/..%2f..%2fetc/passwd",
        "//",
        "/api",
    ];
    const NAMES: [&str; 27] = [
        "face",
        "attribute",
        "by",
        "method",
        "n",
        "beta",
        "sigma",
        "noise_seed",
        "rule",
        "count",
        "order_seed",
        "channels",
        "takeover",
        "people",
        "challenge",
        "filter",
        "has",
        "sort",
        "of",
        "page",
        "channel",
        "format",
        "tab",
        "turn",
        "token",
        "",
        "x",
    ];
    const VALUES: [&str; 34] = [
        "0",
        "1",
        "7",
        "15",
        "16",
        "39",
        "40",
        "-1",
        "1e308",
        "1e-320",
        "NaN",
        "inf",
        "-0",
        "0.5",
        "1000",
        "10",
        "18446744073709551615",
        "18446744073709551616",
        "%00",
        "%ff",
        "%",
        "",
        "lower",
        "random",
        "lasso",
        "partner",
        "least_squares",
        "0,1,2",
        "1,,2",
        "pdf",
        "mask",
        "contribution",
        "..%2f",
        "wrong",
    ];
    const FINE: [&str; 12] = [
        "attribute=3",
        "n=2",
        "beta=-0.5",
        "sigma=0.3",
        "rule=random",
        "count=15",
        "takeover=partner",
        "people=3",
        "challenge=1",
        "method=lrp",
        "channel=1",
        "sort=uncertain",
    ];
    let pick = |rng: &mut ChaCha8Rng, from: &[&'static str]| *from.choose(rng).unwrap_or(&"");
    let mut address = pick(rng, &PATHS).to_owned();
    for i in 0..rng.random_range(0..4) {
        address.push(if i == 0 { '?' } else { '&' });
        match rng.random_bool(0.6) {
            true => address.push_str(pick(rng, &FINE)),
            false => address.push_str(&format!("{}={}", pick(rng, &NAMES), pick(rng, &VALUES))),
        }
    }
    let host = pick(
        rng,
        &[HOST, HOST, HOST, HOST, HOST, HOST, HOST, "localhost:4321", "evil.example", ""],
    );
    let method = pick(rng, &["GET", "GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "BREW"]);
    let body: Vec<u8> = match rng.random_range(0..4) {
        0 => vec![],
        1 => b"{\"forecast\":[1,2,3,4,5],\"earlier\":[]}".to_vec(),
        2 => b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff".to_vec(),
        _ => (0..rng.random_range(0..400)).map(|_| rng.random()).collect(),
    };
    Ok(Request::builder().method(method).uri(address).header("host", host).body(body.into())?)
}

#[test]
fn no_request_makes_the_server_fail() -> AnyResult {
    let server = Arc::new(start()?);
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut served = 0;
    for _ in 0..2000 {
        let request = hostile(&mut rng)?;
        let asked = format!("{} {}", request.method(), request.uri());
        let answer = server.send(request)?;
        assert!(answer.status.as_u16() < 500, "{asked}: {} {}", answer.status, answer.text());
        served += usize::from(answer.status.is_success());
    }
    // Not all of them are refused.
    assert!((200..1800).contains(&served), "{served}");
    Ok(())
}

/// Sorting by the answers: log losses from the highest, |logit| from the lowest.
#[test]
fn faces_are_sorted_by_what_their_answers_say() -> AnyResult {
    let server = start()?;
    let answers = |face: &Value| -> AnyResult<Vec<(f64, bool)>> {
        let found = server.get(&format!("/api/face?face={face}"))?.json()?;
        let rows = found["attributes"].as_array().ok_or("no attributes")?;
        let row = |row: &Value| Some((row["logit"].as_f64()?, row["label"].as_bool()?));
        Ok(rows.iter().map(row).collect::<Option<Vec<_>>>().ok_or("no answers")?)
    };
    let loss = |(logit, label): (f64, bool)| (1. + (if label { -logit } else { logit }).exp()).ln();
    let listed = |query: &str| -> AnyResult<Vec<(Value, f64)>> {
        let found = server.get(&format!("/api/faces?{query}"))?.json()?;
        let faces = found["faces"].as_array().ok_or("no faces")?;
        assert!(!faces.is_empty() && found["problem"].is_null(), "{found}");
        let row = |row: &Value| Some((row["face"].clone(), row["value"].as_f64()?));
        Ok(faces.iter().map(row).collect::<Option<Vec<_>>>().ok_or("no values")?)
    };
    let wrong = listed("sort=wrong")?;
    assert!(wrong.len() == 6 && wrong.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    for (face, value) in &wrong[..3] {
        let all = answers(face)?;
        let mean = all.iter().copied().map(loss).sum::<f64>() / all.len() as f64;
        assert!((mean - value).abs() < 1e-4, "face {face}: {value}, not {mean}");
    }
    let uncertain = listed("sort=uncertain&of=3")?;
    assert!(uncertain.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    for (face, value) in &uncertain[..3] {
        assert!((answers(face)?[3].0.abs() - value).abs() < 1e-4);
    }
    // Of those with an attribute, in the same order.
    let with = listed("sort=wrong&filter=20&has=yes")?;
    let without = listed("sort=wrong&filter=20&has=no")?;
    assert_eq!(with.len() + without.len(), wrong.len());
    for (faces, has) in [(with, true), (without, false)] {
        for (face, _) in &faces {
            assert_eq!(answers(face)?[20].1, has);
        }
    }
    Ok(())
}
