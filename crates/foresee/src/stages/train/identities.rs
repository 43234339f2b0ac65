//! ANet's training on identities, before LNets+ANet learn attributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use candle_core::{D, Device, Tensor};
use foresee_baselines::Baseline;
use foresee_celeba::{Batch, BatchOptions, Cache, CelebA};
use foresee_model::Trainer;

use super::batches::{Batching, batch_options};
use super::checkpoints::Clock;
use super::examples::some_faces;
use super::together::Together;
use crate::artifacts::LearnedPeople;
use crate::error::{Result, input};
use crate::faces;
use crate::hash::sha256 as sha256_of;
use crate::interrupt::Patience;
use crate::progress::{Progress, Unit};
use crate::run::Run;
use crate::run::checkpoint_files::IDENTITIES;
use crate::session::images_of;

/// Images that the trained ANet is asked about, at most.
const ASKED: usize = 4000;
/// Images of one batch then.
const BATCH: usize = 64;

/// The people that ANet learns to tell.
struct People {
    /// Their training images, in the order of the training faces.
    faces: Vec<usize>,
    /// Of each face of the data set the number of its person from 0 on, if that is one of them.
    number: Vec<Option<usize>>,
    /// Images of each.
    images: Vec<usize>,
}

impl People {
    /// Those with so many images among the training faces, in the order of their numbers in
    /// `identity_CelebA`.
    fn new(identities: &[u32], train: &[usize], least: usize) -> Self {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &face in train {
            *counts.entry(identities[face]).or_default() += 1;
        }
        counts.retain(|_, count| *count >= least);
        let places = counts.keys().enumerate().map(|(at, person)| (*person, at));
        let places: BTreeMap<u32, usize> = places.collect();
        let number: Vec<Option<usize>> =
            identities.iter().map(|person| places.get(person).copied()).collect();
        let mut faces = train.to_vec();
        faces.retain(|&face| number[face].is_some());
        Self { faces, number, images: counts.into_values().collect() }
    }

    fn read(run: &Run, data: &CelebA, train: &[usize]) -> Result<Self> {
        let least = run.manifest.config.system.identities;
        let identities =
            data.identities().with_context(|| format!("system.identities = {least}"))?;
        let people = Self::new(&identities, train, least);
        match people.images.len() {
            0 | 1 => Err(input(format!(
                "system.identities = {least}: {} of the people in the training images have so \
                 many; telling people needs two or more",
                people.images.len()
            ))),
            _ => Ok(people),
        }
    }

    /// 1 for the person of each image, else 0: [B, people].
    fn labels(&self, batch: &Batch) -> Result<Tensor> {
        let people = self.images.len();
        let mut labels = vec![0f32; batch.faces.len() * people];
        for (row, number) in batch.select(&self.number)?.into_iter().enumerate() {
            labels[row * people + number.context("a face of another person")?] = 1.;
        }
        Ok(Tensor::from_vec(labels, (batch.faces.len(), people), &Device::Cpu)?)
    }
}

/// The hash of who is on which training image, if ANet is to learn it.
pub(super) fn sha256(run: &Run, data: &CelebA, train: &[usize]) -> Result<Option<String>> {
    if run.manifest.config.system.identities == 0 {
        return Ok(None);
    }
    let people = People::read(run, data, train)?;
    let of_face = |&face: &usize| format!("{face} {:?}", people.number[face]);
    let text: Vec<String> = people.faces.iter().map(of_face).collect();
    Ok(Some(sha256_of(text.join("\n").as_bytes())))
}

/// The training of an ANet that tells the people in the training images, if the settings ask for
/// it, from the start or from its checkpoint to its end.
pub(super) fn learn(
    run: &Run,
    data: &CelebA,
    train: &[usize],
    device: &Device,
    clock: &mut Clock,
) -> Result<Option<Trainer<Baseline>>> {
    let config = &run.manifest.config;
    if config.system.identities == 0 {
        return Ok(None);
    }
    let people = People::read(run, data, train)?;
    let trainer = begin(run, &people, device)?;
    let Batching { images, .. } = Batching::new(config, people.faces.len());
    let together = Together::new(trainer.network(), &config.train.trainer, images, device)?;
    let cache = faces::cache(&run.manifest.data, data, &config.data)?;
    let mut lesson = Lesson { run, data, device, people, trainer, together, cache, images };
    lesson.learn(clock)?;
    Ok(Some(lesson.trainer))
}

/// The training under way.
struct Lesson<'a> {
    run: &'a Run,
    data: &'a CelebA,
    device: &'a Device,
    people: People,
    trainer: Trainer<Baseline>,
    together: Together,
    cache: Option<Arc<Cache>>,
    /// Images of a batch.
    images: usize,
}

impl Lesson<'_> {
    /// Trains to the end, or until a signal asks it to stop.
    fn learn(&mut self, clock: &mut Clock) -> Result<()> {
        let People { faces, images, .. } = &self.people;
        if !self.trainer.is_done() {
            let (people, images) = (images.len(), faces.len());
            tracing::info!("ANet learns to tell {people} people by {images} images");
        }
        let patience = Patience::begin();
        let [all, done] = [self.trainer.steps(), self.trainer.position().step];
        let progress =
            Progress::new("telling people", Unit::Images, all * self.images, done * self.images);
        while !self.trainer.is_done() {
            if let Err(e) = self.epoch(clock, &progress, &patience) {
                // Such as an image that has become unreadable: what was learned is kept.
                clock.save_first(self.run, IDENTITIES, &self.trainer)?;
                return Err(e);
            }
        }
        Ok(())
    }

    /// The rest of an epoch. A checkpoint is written when it is due, and behind the last step.
    fn epoch(&mut self, clock: &mut Clock, progress: &Progress, patience: &Patience) -> Result<()> {
        let Self { run, data, device, people, cache, .. } = self;
        let at = self.trainer.position();
        let options =
            batch_options(&run.manifest.config, run.manifest.seed, people.faces.len(), at);
        let options = BatchOptions { cache: cache.clone(), ..options };
        for batch in data.batches(&people.faces, &options) {
            let batch = batch?;
            let labels = people.labels(&batch)?.to_device(device)?;
            let given = Ok((batch.images.to_device(device)?, labels));
            let report = self.together.step(&mut self.trainer, given)?;
            let report = report.context("the training was ended")?;
            let epoch = at.epoch + 1;
            progress
                .add(self.images, || format!("epoch {epoch}, cross entropy {:.3}", report.loss));
            patience.interrupted().map_or(Ok(()), Err)?;
            if clock.is_due() || self.trainer.position().batch == 0 {
                clock.save_first(run, IDENTITIES, &self.trainer)?;
            }
        }
        Ok(())
    }
}

/// The training from its first step, or from its checkpoint if that can be used.
fn begin(run: &Run, people: &People, device: &Device) -> Result<Trainer<Baseline>> {
    let config = &run.manifest.config;
    let Batching { batches, .. } = Batching::new(config, people.faces.len());
    let fresh = || -> Result<Trainer<Baseline>> {
        let system = config.system.anet(&config.data, people.images.len())?;
        let system = system.context("the system has no ANet")?;
        let network = Baseline::new(system, run.manifest.seed, device)?;
        Ok(Trainer::new(network, config.train.trainer.clone(), batches)?)
    };
    let path = run.path(IDENTITIES);
    if !path.exists() {
        return fresh();
    }
    let mut trainer = fresh()?;
    match trainer.resume(&path) {
        Ok(()) => Ok(trainer),
        Err(e) => {
            tracing::warn!("a checkpoint is passed over: {e:#}");
            fresh()
        }
    }
}

/// How well an ANet tells the people that it has learned, on some of their training images.
pub(super) fn judge(
    anet: &Baseline,
    run: &Run,
    data: &CelebA,
    train: &[usize],
    device: &Device,
) -> Result<LearnedPeople> {
    let people = People::read(run, data, train)?;
    let asked = some_faces(&people.faces, ASKED, run.manifest.seed);
    let (mut right, mut of_people) = (0, vec![0usize; people.images.len()]);
    for batch in data.batches_in_order(&asked, &images_of(&run.manifest.config), BATCH) {
        let batch = batch?;
        let answers = anet.forward(&batch.images.to_device(device)?)?;
        let answers = answers.argmax(D::Minus1)?.to_vec1::<u32>()?;
        let numbers = batch.select(&people.number)?;
        numbers.iter().flatten().for_each(|&person| of_people[person] += 1);
        let pairs = answers.iter().zip(&numbers);
        right += pairs.filter(|(answer, number)| Some(**answer as usize) == **number).count();
    }
    let most = of_people.into_iter().max().unwrap_or_default();
    Ok(LearnedPeople {
        people: people.images.len(),
        images: people.faces.len(),
        asked: asked.len(),
        accuracy: right as f64 / asked.len() as f64,
        most_frequent: most as f64 / asked.len() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_with_enough_training_images_are_numbered_in_order() {
        // Person 9 has two training images, 4 has three, 7 has one there and two elsewhere.
        let identities = [9, 4, 7, 4, 9, 7, 7, 4];
        let people = People::new(&identities, &[7, 0, 1, 2, 3, 4], 2);
        assert_eq!(people.faces, [7, 0, 1, 3, 4]);
        assert_eq!(people.images, [3, 2]);
        let numbers = people.faces.iter().map(|&face| people.number[face]);
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 0, 0, 1].map(Some));
        assert_eq!(people.number[5], None);
    }
}
