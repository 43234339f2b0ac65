//! Hostile and damaged model files and checkpoints are refused with a reason, before memory is
//! taken for what they claim.
//!
//! To test a million damaged files of each kind and show the counts:
//!
//!     PROPTEST_CASES=1000000 cargo test --release -p foresee-model --test hostile -- --nocapture

#[path = "../../../tests/src/hostile.rs"]
mod hostile;

use std::path::Path;

use candle_core::{Device, Tensor};
use foresee_model::{Crop, ModelCard, Network, NetworkConfig, TrainConfig, Trainer};
use hostile::{Counting, alone, peak_of, survives};
use serde_json::{Value, json};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Much less than the files below claim to need, and more than these networks do.
const MOST: usize = 16 << 20;

fn network() -> AnyResult<Network> {
    Ok(Network::new(
        NetworkConfig { attributes: 2, channels: 3, ..Default::default() },
        4,
        &Device::Cpu,
    )?)
}

fn card() -> ModelCard {
    ModelCard {
        network: NetworkConfig { attributes: 2, channels: 3, ..Default::default() },
        attributes: vec!["Smiling".into(), "Young".into()],
        image_size: 9,
        crop: Crop::Square,
        mean: [0.5; 3],
        deviation: [0.5; 3],
        conventions: Default::default(),
        seed: 4,
        trained_on: "nothing".into(),
        training_split_sha256: None,
        kept_channels: None,
        left_out: None,
    }
}

/// The parts of a model file or checkpoint.
struct Parts {
    header: Value,
    tensors: Vec<u8>,
}

impl Parts {
    fn of(file: &[u8]) -> AnyResult<Self> {
        let length = u64::from_le_bytes(file[..8].try_into()?) as usize;
        Ok(Self {
            header: serde_json::from_slice(&file[8..8 + length])?,
            tensors: file[8 + length..].to_vec(),
        })
    }

    fn file(&self) -> AnyResult<Vec<u8>> {
        let header = serde_json::to_vec(&self.header)?;
        Ok([&(header.len() as u64).to_le_bytes(), &header[..], &self.tensors].concat())
    }

    /// The file with another card.
    fn card(mut self, change: impl FnOnce(&mut Value)) -> AnyResult<Vec<u8>> {
        let text = self.header["__metadata__"]["foresee"].as_str().ok_or("no card")?.to_owned();
        let mut card = serde_json::from_str(&text)?;
        change(&mut card);
        self.header["__metadata__"]["foresee"] = card.to_string().into();
        self.file()
    }

    /// The file with another entry for a tensor.
    fn tensor(mut self, name: &str, change: impl FnOnce(&mut Value)) -> AnyResult<Vec<u8>> {
        change(&mut self.header[name]);
        self.file()
    }

    /// The file with another first value of a tensor.
    fn values(mut self, name: &str, value: f32) -> AnyResult<Vec<u8>> {
        let start = self.header[name]["data_offsets"][0].as_u64().ok_or("no tensor")? as usize;
        self.tensors[start..start + 4].copy_from_slice(&value.to_le_bytes());
        self.file()
    }
}

fn load(path: &Path) -> Option<String> {
    Network::load(path, &Device::Cpu).err().map(|e| e.to_string())
}

/// What PyTorch adds to a file and takes from it: the counts of batch norms are left out, and what
/// else is another is told with what to do.
#[test]
fn files_that_went_through_pytorch_are_read() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.safetensors");
    network()?.save(&path, &card())?;
    let file = std::fs::read(&path)?;
    let mut counted = Parts::of(&file)?;
    let end = counted.tensors.len();
    counted.header["extractor.0.bn.num_batches_tracked"] =
        json!({ "dtype": "I64", "shape": [], "data_offsets": [end, end + 8] });
    counted.tensors.extend([0; 8]);
    std::fs::write(&path, counted.file()?)?;
    assert_eq!(load(&path), None);

    let mut parallel = Parts::of(&file)?;
    let header = parallel.header.as_object_mut().ok_or("no header")?;
    let names: Vec<String> = header.keys().filter(|k| *k != "__metadata__").cloned().collect();
    for name in names {
        let entry = header.remove(&name).ok_or("no entry")?;
        header.insert(format!("module.{name}"), entry);
    }
    let mut bare = Parts::of(&file)?;
    bare.header["__metadata__"] = json!({ "format": "pt" });
    for (bytes, expected) in [
        (parallel.file()?, "take `module.` off all names"),
        (bare.file()?, "metadata=safe_open(original, \"pt\").metadata()"),
        (
            Parts::of(&file)?
                .tensor("heads.readout.bias", |entry| entry["dtype"] = json!("I32"))?,
            "save it as float32",
        ),
    ] {
        std::fs::write(&path, bytes)?;
        let told = load(&path).ok_or("it was loaded")?;
        assert!(told.contains(expected), "{expected}: {told}");
    }
    Ok(())
}

#[test]
fn what_a_model_file_claims_is_not_believed() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.safetensors");
    network()?.save(&path, &card())?;
    let file = std::fs::read(&path)?;
    let parts = || Parts::of(&file);
    let names: Vec<String> = (0..4096).map(|k| k.to_string()).collect();
    let huge = |card: &mut Value| {
        card["attributes"] = json!(names);
        card["network"] = json!({ "attributes": 4096, "channels": 4096, "mask_kernel": 3 });
    };
    let mut extra = parts()?;
    let end = extra.tensors.len();
    extra.header["heads.more"] =
        json!({ "dtype": "U8", "shape": [4], "data_offsets": [end, end + 4] });
    extra.tensors.extend([0; 4]);
    let mut long_header = file.clone();
    long_header[..8].copy_from_slice(&10_000_000_000u64.to_le_bytes());
    let mut missing = parts()?;
    missing.header["heads.readout.bios"] = missing.header["heads.readout.bias"].take();
    missing.header.as_object_mut().ok_or("no header")?.remove("heads.readout.bias");
    for (bytes, expected) in [
        (vec![], "is not a safetensors file (it is too short)"),
        (file[..file.len() - 9].to_vec(), "is damaged: its header claims"),
        ([&file[..], &[0; 5]].concat(), "is damaged: its header claims"),
        (long_header, "a header of 10000000000 bytes in a file of"),
        (
            parts()?.card(|card| card["network"]["channels"] = json!(1_000_000_000_000u64))?,
            "model.channels = 1000000000000 is not possible",
        ),
        (
            parts()?.card(huge)?,
            "tensor `heads.mask.weight` has shape [6, 3, 1, 1], expected [16777216, 4096, 3, 3]",
        ),
        (
            parts()?.card(|card| card["attributes"] = json!(["Smiling"]))?,
            "its card names 1 attributes, but its network has 2",
        ),
        (
            parts()?.card(|card| card["image_size"] = json!(1u64 << 40))?,
            "image size of 1099511627776, expected 1 to 8192",
        ),
        (
            parts()?.card(|card| card["deviation"] = json!([1, 0, 1]))?,
            "expected finite means and positive deviations",
        ),
        (parts()?.card(|card| card["network"]["depth"] = json!(7))?, "unknown field `depth`"),
        (
            parts()?.card(|card| card["crop"] = json!("round"))?,
            "unknown variant `round`, expected `square` or `whole`",
        ),
        (
            parts()?.tensor("heads.mask.weight", |t| t["shape"] = json!([1u64 << 40, 1 << 20]))?,
            "is not a safetensors file (overflow",
        ),
        (
            parts()?.tensor("heads.mask.weight", |t| t["dtype"] = json!("U32"))?,
            "`heads.mask.weight` is of type U32, expected F32",
        ),
        (
            parts()?.tensor("extractor.0.conv.weight", |t| t["dtype"] = json!("F64"))?,
            "is not a safetensors file",
        ),
        (
            parts()?.tensor("heads.mask.bias", |t| t["data_offsets"] = json!([0, 4]))?,
            "is not a safetensors file",
        ),
        (
            parts()?.values("heads.readout.weight", f32::NAN)?,
            "`heads.readout.weight` holds values that are not finite",
        ),
        (
            parts()?.values("extractor.2.bn.running_mean", f32::INFINITY)?,
            "holds values that are not finite",
        ),
        (parts()?.values("extractor.2.bn.running_var", -1.)?, "holds negative variances"),
        (missing.file()?, "tensor `heads.readout.bias` is missing"),
        (extra.file()?, "holds a tensor `heads.more`, which its network does not have"),
    ] {
        std::fs::write(&path, bytes)?;
        let (error, peak) = peak_of(|| load(&path));
        let error = error.ok_or(expected)?;
        let names_the_place = ["model.safetensors", "model.channels"];
        let names_the_place = names_the_place.iter().any(|place| error.contains(place));
        assert!(error.contains(expected) && names_the_place, "{expected}: {error}");
        assert!(peak < MOST, "{expected}: {peak} bytes");
    }
    // Sparse files of 10 GB: one claims that all of it is the header, one that all of it is
    // tensors.
    for header in [10_000_000_000 - 8, 2] {
        std::fs::write(&path, [&u64::to_le_bytes(header)[..], b"{}"].concat())?;
        std::fs::OpenOptions::new().write(true).open(&path)?.set_len(10_000_000_000)?;
        let (error, peak) = peak_of(|| load(&path));
        assert!(error.is_some() && peak < MOST, "{error:?}, {peak} bytes");
    }
    Ok(())
}

/// A trainer after one step, with its checkpoint at `path`.
fn trained(path: &Path) -> AnyResult<Trainer> {
    let mut trainer = trainer()?;
    let images = Tensor::ones((2, 3, 9, 9), candle_core::DType::F32, &Device::Cpu)?;
    trainer.step(&images, &Tensor::zeros((2, 2), candle_core::DType::F32, &Device::Cpu)?)?;
    trainer.save_checkpoint(path)?;
    Ok(trainer)
}

fn trainer() -> AnyResult<Trainer> {
    Ok(Trainer::new(network()?, TrainConfig { epochs: 2, average: 0.5, ..Default::default() }, 3)?)
}

#[test]
fn what_a_checkpoint_claims_is_not_believed() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("checkpoint.safetensors");
    trained(&path)?;
    let file = std::fs::read(&path)?;
    let parts = || Parts::of(&file);
    // The form of an earlier version, in which λ and its reading had a section of their own.
    let older = json!({
        "epochs": 2, "learning_rate": 3e-3, "weight_decay": 1e-4, "warmup": 0.3, "average": 0.5,
        "loss": { "lambda": 1e-5, "sparsity": "sum" },
    });
    let position = |epoch: u64, batch: u64, step: u64| {
        parts()?
            .card(|card| card["position"] = json!({ "epoch": epoch, "batch": batch, "step": step }))
    };
    for (bytes, expected) in [
        (position(0, 7, 7)?, "has an impossible position: step 7 in batch 7 of 3, epoch 0"),
        (position(1, 1, 5)?, "has an impossible position"),
        (position(u64::MAX, 1, 1)?, "has an impossible position"),
        (
            parts()?.tensor("optimizer.second.heads.mask.bias", |t| t["dtype"] = json!("I32"))?,
            "is of type I32, expected F32",
        ),
        (
            parts()?.tensor("average.heads.mask.bias", |t| t["shape"] = json!([3, 2]))?,
            "has shape [3, 2], expected [6]",
        ),
        (parts()?.values("optimizer.first.heads.mask.bias", 1.)?, "its checksum is another"),
        (
            parts()?.card(|card| card["batches"] = json!(4))?,
            "is a checkpoint of another configuration or data set",
        ),
        (
            parts()?.card(|card| card["train"] = older)?,
            "is a checkpoint of another configuration or data set",
        ),
    ] {
        std::fs::write(&path, bytes)?;
        let mut fresh = trainer()?;
        let (error, peak) = peak_of(|| fresh.resume(&path).err().map(|e| e.to_string()));
        let error = error.ok_or(expected)?;
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(peak < MOST && fresh.position().step == 0, "{expected}: {peak} bytes");
    }
    std::fs::write(&path, file)?;
    let mut fresh = trainer()?;
    fresh.resume(&path)?;
    assert_eq!(fresh.position().step, 1);
    Ok(())
}

/// Damages the header of a file, whose tensors are zeros.
fn damaged_headers(what: &str, path: &Path, read: impl Fn(&Path) -> Option<String>) -> AnyResult {
    let Parts { header, tensors } = Parts::of(&std::fs::read(path)?)?;
    let write = |header: &[u8]| -> std::io::Result<()> {
        std::fs::write(path, [&(header.len() as u64).to_le_bytes(), header].concat())?;
        std::fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .set_len((8 + header.len() + tensors.len()) as u64)
    };
    survives(what, &[serde_json::to_vec(&header)?], 1000, MOST, |header| {
        write(header).unwrap();
        read(path)
    })?;
    Ok(())
}

/// Damages a file at any place.
fn damaged(what: &str, path: &Path, read: impl Fn(&Path) -> Option<String>) -> AnyResult {
    let file = std::fs::read(path)?;
    assert_eq!(read(path), None);
    survives(what, &[file], 100, MOST, |bytes| {
        std::fs::write(path, bytes).unwrap();
        read(path)
    })?;
    Ok(())
}

#[test]
fn damaged_model_files_are_refused_or_read() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.safetensors");
    network()?.save(&path, &card())?;
    damaged_headers("headers of model files", &path, load)?;
    network()?.save(&path, &card())?;
    damaged("model files", &path, load)
}

#[test]
fn damaged_checkpoints_are_refused_or_read() -> AnyResult {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("checkpoint.safetensors");
    trained(&path)?;
    let read = |path: &Path| trainer().unwrap().resume(path).err().map(|e| e.to_string());
    damaged_headers("headers of checkpoints", &path, read)?;
    trained(&path)?;
    damaged("checkpoints", &path, read)
}
