//! Trains the network of a profile on faces of a folder and prints how many rows of its heads are
//! awake meanwhile, and how many the trained network needs: `data/bench/kept_rows.json`.
//!
//! cargo run --release -p foresee --example kept_rows -- DEVICE CELEBA_DIR [KEY=VALUE ...]
//!
//! The device is cpu, cuda or metal.

use anyhow::{Context, Result, bail, ensure};
use candle_core::{D, Device};
use foresee::config::Config;
use foresee::row_counts::{KeptRows, Point};
use foresee_celeba::{BatchOptions, CelebA, Epoch, Split, SplitRule};
use foresee_model::{Network, NetworkConfig, RowStatistics, TrainConfig, Trainer};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The profile whose training it is, and its faces, as many as the benchmark assumes.
const PROFILE: &str = "small";
const FACES: usize = 6400;
/// After so many passes the rows are counted; also after the last.
const PASSES: [usize; 8] = [0, 1, 2, 3, 5, 8, 12, 20];
/// Training faces on which a row is seen to be awake: more than the trainer's own looks see, so
/// that a few more rows count.
const LOOK: usize = 400;
/// Rows of the trained network go as `foresee compact` lets them go at this tolerance, by all
/// training faces.
const TOLERANCE: f64 = 1e-3;
const SEED: u64 = 0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [device, folder, set @ ..] = &arguments[..] else {
        bail!("name a device (cpu, cuda or metal) and a folder with CelebA");
    };
    // As in the paper: where channels are left out, all masks are computed.
    let all = [&["train.drop_correlated=0".to_owned()], set].concat();
    let settings = serde_json::to_value(Config::resolve(PROFILE, None, &all)?)?;
    let data = CelebA::open(folder, SplitRule::Official)?;
    let mut faces = data.split(Split::Train)?;
    faces.truncate(FACES);
    let training = Training { settings, data, faces, device: foresee::device::device(device)? };
    let command = "cargo run --release -p foresee --example kept_rows --";
    let made_by = [command, device, "CELEBA_DIR"].into_iter();
    let made_by: Vec<&str> = made_by.chain(set.iter().map(String::as_str)).collect();
    let made_by = made_by.join(" ");
    print!("{}", training.count(made_by)?.text()?);
    Ok(())
}

struct Training {
    /// The configuration by its keys.
    settings: Value,
    data: CelebA,
    faces: Vec<usize>,
    device: Device,
}

impl Training {
    fn count(&self, made_by: String) -> Result<KeptRows> {
        let network = Network::new(self.network()?, SEED, &self.device)?;
        let steps_of_a_pass = self.faces.len() / self.setting::<usize>("/train/batch_size")?;
        let config = self.trainer()?;
        let (epochs, sleep) = (config.epochs, config.sleep);
        ensure!(sleep > 0., "train.sleep = 0: no row would sleep; add train.sleep=0.03");
        let mut trainer = Trainer::new(network, config, steps_of_a_pass)?;
        let mut training = vec![];
        for passes in 0..=epochs {
            if passes == epochs || PASSES.contains(&passes) {
                let awake = self.awake(trainer.network(), sleep)?;
                let (count, all) = (awake.iter().sum::<usize>(), trainer.network().config());
                let share = 100. * count as f64 / (all.attributes * all.channels) as f64;
                eprintln!("after {passes} passes {share:.1} % of the rows are awake");
                training.push(Point { passes, awake });
            }
            if passes < epochs {
                self.pass(&mut trainer)?;
            }
        }
        let network = trainer.trained();
        Ok(KeptRows {
            source: self.source()?,
            made_by,
            channels: network.config().channels,
            steps_of_a_pass,
            sleep,
            tolerance: TOLERANCE,
            trained: self.needed(network)?,
            training,
        })
    }

    fn setting<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let value = self.settings.pointer(key).with_context(|| format!("no setting {key}"))?;
        Ok(serde_json::from_value(value.clone())?)
    }

    /// A section without the keys that the network and its trainer do not know.
    fn section<T: DeserializeOwned>(&self, name: &str, unknown: &[&str]) -> Result<T> {
        let mut section: Map<String, Value> = self.setting(name)?;
        section.retain(|key, _| !unknown.contains(&key.as_str()));
        Ok(serde_json::from_value(Value::Object(section))?)
    }

    fn network(&self) -> Result<NetworkConfig> {
        self.section("/model", &[])
    }

    fn trainer(&self) -> Result<TrainConfig> {
        let images = ["batch_size", "flip", "crop", "limit", "checkpoint_seconds"];
        self.section("/train", &images)
    }

    fn source(&self) -> Result<String> {
        let of = if self.data.is_synthetic() { "drawn faces" } else { "CelebA" };
        let NetworkConfig { attributes, channels, .. } = self.network()?;
        Ok(format!(
            "profile `{PROFILE}` on {} training faces of {of}, seed {SEED}: {attributes} \
             attributes, {channels} channels",
            self.faces.len()
        ))
    }

    /// One pass over the training images, augmented as in a run.
    fn pass(&self, trainer: &mut Trainer) -> Result<()> {
        let options = BatchOptions {
            crop: self.setting("/data/crop")?,
            image_size: self.setting("/data/image_size")?,
            batch_size: self.setting("/train/batch_size")?,
            epoch: Some(Epoch {
                seed: SEED,
                number: trainer.position().epoch as u64,
                flip: self.setting("/train/flip")?,
                smallest_crop: self.setting("/train/crop")?,
            }),
            drop_last: true,
            ..Default::default()
        };
        for batch in self.data.batches(&self.faces, &options) {
            let batch = batch?;
            let images = batch.images.to_device(&self.device)?;
            trainer.step(&images, &batch.labels.to_device(&self.device)?)?;
        }
        Ok(())
    }

    /// Training images in batches, not augmented.
    fn images(&self, faces: usize) -> Result<foresee_celeba::Batches> {
        let (crop, image_size) = (self.setting("/data/crop")?, self.setting("/data/image_size")?);
        let options = BatchOptions { crop, image_size, ..Default::default() };
        Ok(self.data.batches(&self.faces[..faces.min(self.faces.len())], &options))
    }

    /// For each attribute, the masks that reach `least` on a pixel of some face.
    fn awake(&self, network: &Network, least: f64) -> Result<Vec<usize>> {
        let network = network.frozen();
        let NetworkConfig { attributes, channels, .. } = *network.config();
        let mut greatest = vec![vec![0f32; channels]; attributes];
        for batch in self.images(LOOK)? {
            let z = network.extractor().forward(&batch?.images.to_device(&self.device)?)?;
            for (attribute, greatest) in greatest.iter_mut().enumerate() {
                let masks = network.heads().masks(&z, &[attribute])?.squeeze(1)?;
                let here: Vec<f32> = masks.max(D::Minus1)?.max(D::Minus1)?.max(0)?.to_vec1()?;
                greatest.iter_mut().zip(here).for_each(|(g, here)| *g = g.max(here));
            }
        }
        let count = |of: &Vec<f32>| of.iter().filter(|&&g| f64::from(g) >= least).count();
        Ok(greatest.iter().map(count).collect())
    }

    /// For each attribute, the rows that the trained network needs.
    fn needed(&self, network: &Network) -> Result<Vec<usize>> {
        let network = network.frozen();
        let mut statistics = RowStatistics::new(&network)?;
        for batch in self.images(self.faces.len())? {
            let z = network.extractor().forward(&batch?.images.to_device(&self.device)?)?;
            statistics.add(&network.heads().pool(&z)?.features)?;
        }
        let rows = statistics.select(TOLERANCE)?.rows;
        Ok((0..rows.attributes()).map(|attribute| rows.of(attribute).len()).collect())
    }
}
