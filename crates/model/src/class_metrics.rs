//! Images of one class each: top-k accuracy, and labels to train on.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};

/// How often the class of an image is among the largest of its logits, over batches that are added
/// one after the other.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_model::ClassPredictions;
///
/// let logits = Tensor::new(&[[2f32, 1., 0.], [0., 3., 1.]], &Device::Cpu)?;
/// let classes = Tensor::new(&[0u32, 2], &Device::Cpu)?;
/// let mut predictions = ClassPredictions::default();
/// predictions.add(&logits, &classes)?;
/// assert_eq!((predictions.accuracy()?, predictions.top_k(2)?), (0.5, 1.));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClassPredictions {
    /// How many images have their class at each rank, `[K]`.
    at_rank: Vec<u64>,
    /// The images of each class, `[K]`.
    of_class: Vec<u64>,
    /// Those of them whose class has the largest logit, `[K]`.
    right: Vec<u64>,
}

impl ClassPredictions {
    /// Adds a batch of logits [B, K] and classes `[B]`, whole numbers from 0 to K - 1.
    ///
    /// # Errors
    /// As [`class_ranks`], or if earlier batches were of another K.
    pub fn add(&mut self, logits: &Tensor, classes: &Tensor) -> Result<()> {
        let numbers = class_numbers(logits, classes)?;
        let ranks = ranks(logits, &numbers)?;
        let count = logits.dim(1)?;
        if self.images() == 0 {
            *self =
                Self { at_rank: vec![0; count], of_class: vec![0; count], right: vec![0; count] };
        } else if count != self.at_rank.len() {
            let before = self.at_rank.len();
            return Err(candle_core::Error::Msg(format!(
                "a batch of {count} classes comes after batches of {before}"
            ))
            .into());
        }
        for (&class, &rank) in numbers.iter().zip(&ranks) {
            self.at_rank[rank] += 1;
            self.of_class[class] += 1;
            self.right[class] += u64::from(rank == 0);
        }
        Ok(())
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.at_rank.iter().sum::<u64>() as usize
    }

    /// Share of images whose class has the largest logit: [`top_k`](Self::top_k) with k = 1.
    ///
    /// # Errors
    /// As [`top_k`](Self::top_k).
    pub fn accuracy(&self) -> Result<f64> {
        self.top_k(1)
    }

    /// Share of images whose class is among the k largest logits, in [0, 1]. Of equal logits the
    /// class with the lower number comes first ([`class_ranks`]). It is 1 for k ≥ K.
    ///
    /// # Errors
    /// [`Error::NoImages`] if no image was added.
    pub fn top_k(&self, k: usize) -> Result<f64> {
        match self.images() {
            0 => Err(Error::NoImages),
            n => Ok(self.at_rank.iter().take(k).sum::<u64>() as f64 / n as f64),
        }
    }

    /// The accuracy on the images of each class (the class's recall), `[K]`. NaN for a class
    /// without an image.
    pub fn by_class(&self) -> Vec<f64> {
        let shares = self.right.iter().zip(&self.of_class);
        shares.map(|(&right, &images)| right as f64 / images as f64).collect()
    }

    /// The mean of [`by_class`](Self::by_class) over the classes that have images, in which a rare
    /// class counts as much as a frequent one.
    ///
    /// # Errors
    /// [`Error::NoImages`] if no image was added.
    pub fn balanced_accuracy(&self) -> Result<f64> {
        let known: Vec<f64> = self.by_class().into_iter().filter(|v| !v.is_nan()).collect();
        match known.len() {
            0 => Err(Error::NoImages),
            n => Ok(known.iter().sum::<f64>() / n as f64),
        }
    }
}

/// The rank of each image's class among its logits [B, K], from 0: the number of classes with a
/// larger logit, and of those with the same logit and a lower number. So the class that `argmax`
/// takes, the first of equals, has rank 0, and the class is among the k largest if its rank is
/// below k. `classes` are whole numbers `[B]`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_model::class_ranks;
///
/// let logits = Tensor::new(&[[0.1f32, 0.9, 0.5], [3., 1., 3.]], &Device::Cpu)?;
/// let classes = Tensor::new(&[2u32, 2], &Device::Cpu)?;
/// // One logit is larger than 0.5; an equal one has a lower number.
/// assert_eq!(class_ranks(&logits, &classes)?, [1, 1]);
/// # Ok::<(), foresee_model::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit, [`Error::Class`] if a class is not from 0 to K - 1, and
/// [`Error::NanLogit`] if a logit is NaN, which has no order.
pub fn class_ranks(logits: &Tensor, classes: &Tensor) -> Result<Vec<usize>> {
    ranks(logits, &class_numbers(logits, classes)?)
}

/// Labels [B, K], f32, with which a [`Trainer`](crate::Trainer) learns classes as attributes that
/// exclude each other: 1 at the class of the image, else 0. `classes` are whole numbers `[B]`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_model::one_hot;
///
/// let classes = Tensor::new(&[2u32, 0], &Device::Cpu)?;
/// assert_eq!(one_hot(&classes, 3)?.to_vec2::<f32>()?, [[0., 0., 1.], [1., 0., 0.]]);
/// # Ok::<(), foresee_model::Error>(())
/// ```
///
/// # Errors
/// [`Error::Class`] if a class is not from 0 to `count` - 1.
pub fn one_hot(classes: &Tensor, count: usize) -> Result<Tensor> {
    let numbers = checked_numbers(classes, count)?;
    let mut values = vec![0f32; numbers.len() * count];
    for (row, &class) in values.chunks_exact_mut(count.max(1)).zip(&numbers) {
        row[class] = 1.;
    }
    Ok(Tensor::from_vec(values, (numbers.len(), count), classes.device())?)
}

/// The classes `[B]` of logits [B, K].
fn class_numbers(logits: &Tensor, classes: &Tensor) -> Result<Vec<usize>> {
    match (logits.dims(), classes.dims()) {
        (&[images, count], &[labelled]) if images == labelled => checked_numbers(classes, count),
        (logits, classes) => Err(candle_core::Error::Msg(format!(
            "logits are {logits:?}, but classes {classes:?}; expected [B, K] and [B]"
        ))
        .into()),
    }
}

fn checked_numbers(classes: &Tensor, count: usize) -> Result<Vec<usize>> {
    if !classes.dtype().is_int() {
        return Err(candle_core::Error::Msg(format!(
            "classes are whole numbers, as u32, but these are {:?}",
            classes.dtype()
        ))
        .into());
    }
    let numbers = classes.to_device(&Device::Cpu)?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
    let checked = |(image, class): (usize, i64)| {
        let number = usize::try_from(class).ok().filter(|&number| number < count);
        number.ok_or(Error::Class { image, class, count })
    };
    numbers.into_iter().enumerate().map(checked).collect()
}

fn ranks(logits: &Tensor, classes: &[usize]) -> Result<Vec<usize>> {
    let rows = logits.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let mut ranks = Vec::with_capacity(classes.len());
    for (image, (row, &class)) in rows.iter().zip(classes).enumerate() {
        if let Some(class) = row.iter().position(|logit| logit.is_nan()) {
            return Err(Error::NanLogit { image, class });
        }
        let own = row[class];
        let before =
            |(other, &logit): (usize, &f64)| logit > own || (logit == own && other < class);
        ranks.push(row.iter().enumerate().filter(|&item| before(item)).count());
    }
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [[f32; 4]; 4] = [
        [0.1, 0.9, 0.5, -1.],
        // Two equal ones.
        [3., 1., 3., 2.],
        [-2., -1., -3., f32::NEG_INFINITY],
        [0., 0., 0., 0.],
    ];

    fn tensor(rows: &[[f32; 4]]) -> Tensor {
        Tensor::from_vec(rows.concat(), (rows.len(), 4), &Device::Cpu).unwrap()
    }

    fn classes(numbers: &[u32]) -> Tensor {
        Tensor::new(numbers, &Device::Cpu).unwrap()
    }

    #[test]
    fn ranks_by_hand() {
        let ranks = |numbers: &[u32]| class_ranks(&tensor(&LOGITS), &classes(numbers)).unwrap();
        assert_eq!(ranks(&[1, 0, 3, 0]), [0, 0, 3, 0]);
        // Of equal logits the lower number comes first.
        assert_eq!(ranks(&[2, 2, 0, 3]), [1, 1, 1, 3]);
    }

    #[test]
    fn top_k_by_hand() {
        let mut predictions = ClassPredictions::default();
        assert!(matches!(predictions.top_k(1), Err(Error::NoImages)));
        assert!(matches!(predictions.balanced_accuracy(), Err(Error::NoImages)));
        // Ranks 0, 1; then 1, 0.
        predictions.add(&tensor(&LOGITS[..2]), &classes(&[1, 2])).unwrap();
        predictions.add(&tensor(&LOGITS[2..]), &classes(&[0, 0])).unwrap();
        assert_eq!(predictions.images(), 4);
        let shares = [0, 1, 2, 4, 9].map(|k| predictions.top_k(k).unwrap());
        assert_eq!(shares, [0., 0.5, 1., 1., 1.]);
        assert_eq!(predictions.accuracy().unwrap(), 0.5);
        let by_class = predictions.by_class();
        assert_eq!(by_class[..3], [0.5, 1., 0.]);
        assert!(by_class[3].is_nan());
        assert_eq!(predictions.balanced_accuracy().unwrap(), 0.5);
    }

    #[test]
    fn what_has_no_rank_is_refused() {
        let mut rows = LOGITS;
        rows[2][1] = f32::NAN;
        let nan = class_ranks(&tensor(&rows), &classes(&[0; 4]));
        assert!(matches!(nan, Err(Error::NanLogit { image: 2, class: 1 })));
        let large = class_ranks(&tensor(&LOGITS), &classes(&[0, 4, 0, 0]));
        assert!(matches!(large, Err(Error::Class { image: 1, class: 4, count: 4 })));
        let negative = Tensor::new(&[-1i64, 0, 0, 0], &Device::Cpu).unwrap();
        let negative = class_ranks(&tensor(&LOGITS), &negative);
        assert!(matches!(negative, Err(Error::Class { image: 0, class: -1, count: 4 })));
        let fewer = class_ranks(&tensor(&LOGITS), &classes(&[0; 3])).unwrap_err().to_string();
        assert!(fewer.contains("expected [B, K] and [B]"), "{fewer}");
        let shares = Tensor::new(&[0f32; 4], &Device::Cpu).unwrap();
        assert!(class_ranks(&tensor(&LOGITS), &shares).is_err());
        let mut predictions = ClassPredictions::default();
        predictions.add(&tensor(&LOGITS), &classes(&[0; 4])).unwrap();
        let other = Tensor::new(&[[0f32, 1.]], &Device::Cpu).unwrap();
        assert!(predictions.add(&other, &classes(&[0])).is_err());
        assert_eq!(predictions.images(), 4);
    }

    #[test]
    fn one_hot_by_hand() {
        let labels = one_hot(&classes(&[2, 0]), 3).unwrap();
        assert_eq!(labels.to_vec2::<f32>().unwrap(), [[0., 0., 1.], [1., 0., 0.]]);
        assert!(matches!(one_hot(&classes(&[3]), 3), Err(Error::Class { class: 3, .. })));
    }
}
