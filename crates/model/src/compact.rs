//! Leaving out rows of the heads whose contribution hardly varies.

use candle_core::{Tensor, Var};
use foresee_kernels::Rows;

use crate::error::{Error, Result};
use crate::heads::Heads;
use crate::network::Network;

/// The logit of a mask that is shut: `sigmoid(-100)` is below 1e-37 in `f32`, for every reader of a
/// model file.
const SHUT: f32 = -100.;
/// The greatest logit of a mask that counts as shut. A moving average of [`SHUT`] can differ from
/// it by rounding.
const ALMOST_SHUT: f32 = -80.;

/// Sums over images of each row's contribution w_kc·p_kc to its logit, where p_kc is the pooled
/// product of attribute k and channel c.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_model::{Network, NetworkConfig, RowStatistics};
///
/// let config = NetworkConfig { attributes: 2, channels: 4, ..Default::default() };
/// let network = Network::new(config, 7, &Device::Cpu)?;
/// let images = Tensor::randn(0f32, 1., (5, 3, 8, 8), &Device::Cpu)?;
/// let mut statistics = RowStatistics::new(&network)?;
/// let z = network.extractor().forward(&images)?;
/// statistics.add(&network.heads().pool(&z)?.features)?;
/// // At tolerance 0 every row stays.
/// assert_eq!(statistics.select(0.)?.rows.count(), 8);
/// // No logit may vary less than by so much: none stays.
/// assert_eq!(statistics.select(1e9)?.rows.count(), 0);
/// # Ok::<(), foresee_model::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RowStatistics {
    /// The rows that the network has.
    rows: Rows,
    /// w, [K, C].
    readout: Vec<Vec<f64>>,
    images: usize,
    /// Mean contributions [K, C] of the images so far, and sums of squared deviations from them
    /// (Welford's).
    means: Vec<Vec<f64>>,
    squares: Vec<Vec<f64>>,
}

/// Which rows of the heads stay, and what makes up for the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The rows that stay.
    pub rows: Rows,
    /// For each attribute the mean contribution of the rows that go, which joins its bias.
    pub constants: Vec<f64>,
    /// For each attribute a bound on the standard deviation of its logit's change over the images:
    /// the sum of the standard deviations of what the rows that go contribute.
    pub deviations: Vec<f64>,
}

impl RowStatistics {
    /// Of no image yet.
    ///
    /// # Errors
    /// If candle fails.
    pub fn new(network: &Network) -> Result<Self> {
        let readout = network.heads().readout_weights()?;
        let readout: Vec<Vec<f64>> =
            readout.iter().map(|row| row.iter().map(|&w| f64::from(w)).collect()).collect();
        let zeros: Vec<Vec<f64>> = readout.iter().map(|row| vec![0.; row.len()]).collect();
        let rows = network.heads().rows().clone();
        Ok(Self { rows, readout, images: 0, means: zeros.clone(), squares: zeros })
    }

    /// Adds images by their pooled products [B, K, C]: the features of
    /// [`Pooled`](foresee_kernels::Pooled).
    ///
    /// # Errors
    /// If the products are of another shape.
    pub fn add(&mut self, products: &Tensor) -> Result<()> {
        let images = products.detach().to_vec3::<f32>()?;
        let channels = self.rows.channels();
        let fits = |image: &Vec<Vec<f32>>| {
            image.len() == self.readout.len() && image.iter().all(|row| row.len() == channels)
        };
        if !images.iter().all(fits) {
            let expected = (products.dim(0)?, self.readout.len(), channels);
            return Err(candle_core::Error::Msg(format!(
                "pooled products have shape {:?}, expected {expected:?}",
                products.dims()
            ))
            .into());
        }
        for image in &images {
            self.images += 1;
            for (k, row) in image.iter().enumerate() {
                for (c, &product) in row.iter().enumerate() {
                    let value = self.readout[k][c] * f64::from(product);
                    let off = value - self.means[k][c];
                    self.means[k][c] += off / self.images as f64;
                    self.squares[k][c] += off * (value - self.means[k][c]);
                }
            }
        }
        Ok(())
    }

    /// Which rows can go: of each attribute those whose contribution varies least, as long as the
    /// sum of their standard deviations stays below `tolerance`. That sum bounds the standard
    /// deviation of the logit's change over the images, however the rows depend on each other. The
    /// unit is that of the logits. At tolerance 0 all rows that the network has stay.
    ///
    /// # Errors
    /// [`Error::Config`] if the tolerance is negative or not a number, or if there are fewer than
    /// two images; an error if a contribution is not finite.
    pub fn select(&self, tolerance: f64) -> Result<Selection> {
        if tolerance.is_nan() || tolerance < 0. {
            let expected = "a number from 0, in units of the logits";
            return Err(Error::Config { key: "tolerance", value: tolerance.to_string(), expected });
        }
        let mut kept = vec![];
        let mut selection =
            Selection { rows: self.rows.clone(), constants: vec![], deviations: vec![] };
        for k in 0..self.rows.attributes() {
            let (stay, constant, deviation) = self.select_of(k, tolerance)?;
            kept.push(stay);
            selection.constants.push(constant);
            selection.deviations.push(deviation);
        }
        selection.rows = Rows::new(self.rows.channels(), kept)?;
        Ok(selection)
    }

    /// The same for a share of all rows, rounded: those whose contribution varies least go,
    /// whatever their attribute. Of rows that vary alike the first goes.
    ///
    /// # Errors
    /// As [`select`](Self::select), with the share in place of the tolerance; it is from 0 to 1.
    pub fn select_share(&self, share: f64) -> Result<Selection> {
        if !(0. ..=1.).contains(&share) {
            let (key, value) = ("share", share.to_string());
            return Err(Error::Config { key, value, expected: "a number from 0 to 1" });
        }
        let mut order = vec![];
        for k in 0..self.rows.attributes() {
            let rows = self.by_deviation(k)?;
            order.extend(rows.into_iter().map(|(deviation, c)| (deviation, k, c)));
        }
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let gone = (share * order.len() as f64).round() as usize;
        let attributes = self.rows.attributes();
        let (mut constants, mut deviations) = (vec![0.; attributes], vec![0.; attributes]);
        let mut kept: Vec<Vec<usize>> = (0..attributes).map(|k| self.rows.of(k).to_vec()).collect();
        for &(deviation, k, c) in &order[..gone] {
            constants[k] += self.means[k][c];
            deviations[k] += deviation;
            kept[k].retain(|&other| other != c);
        }
        let rows = Rows::new(self.rows.channels(), kept)?;
        Ok(Selection { rows, constants, deviations })
    }

    /// The channels of an attribute's rows with the standard deviations of their contributions,
    /// ascending.
    fn by_deviation(&self, k: usize) -> Result<Vec<(f64, usize)>> {
        if self.images < 2 {
            let expected = "two images or more";
            return Err(Error::Config { key: "images", value: self.images.to_string(), expected });
        }
        let deviation = |c: usize| (self.squares[k][c] / (self.images - 1) as f64).sqrt();
        let mut order: Vec<(f64, usize)> =
            self.rows.of(k).iter().map(|&c| (deviation(c), c)).collect();
        if order.iter().any(|(deviation, _)| !deviation.is_finite()) {
            return Err(candle_core::Error::Msg(format!(
                "contributions to logit {k} are not finite: the network's weights or an image are \
                 damaged"
            ))
            .into());
        }
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Ok(order)
    }

    /// The channels of an attribute that stay, the mean contribution of those that go, and the sum
    /// of their deviations.
    fn select_of(&self, k: usize, tolerance: f64) -> Result<(Vec<usize>, f64, f64)> {
        let order = self.by_deviation(k)?;
        let mut sum = 0.;
        let mut constant = 0.;
        let mut gone = 0;
        for &(deviation, c) in &order {
            if sum + deviation >= tolerance {
                break;
            }
            sum += deviation;
            constant += self.means[k][c];
            gone += 1;
        }
        let mut stay: Vec<usize> = order[gone..].iter().map(|&(_, c)| c).collect();
        stay.sort_unstable();
        Ok((stay, constant, sum))
    }
}

impl Network {
    /// The network in memory of its own, without the rows that a selection leaves out. Their
    /// weights are 0 and their biases -100, which is a mask of 0 for every reader of the model
    /// file, and their mean contributions join the readout's biases. A selection that leaves out
    /// nothing changes no bit.
    ///
    /// # Errors
    /// If the selection is of another number of attributes or channels, and [`Error::Config`] if it
    /// leaves rows out of a network without attention.
    pub fn compact(&self, selection: &Selection) -> Result<Self> {
        let rows = self.heads().rows().and(&selection.rows)?;
        let compacted = self.deep_copy()?.with_rows(rows)?;
        compacted.heads().shut_left_out()?;
        let bias = &compacted.heads().readout_bias;
        let moved: Vec<f32> = bias
            .to_vec1::<f32>()?
            .into_iter()
            .zip(&selection.constants)
            .map(|(bias, constant)| (f64::from(bias) + constant) as f32)
            .collect();
        bias.set(&Tensor::from_vec(moved, bias.shape(), bias.device())?)?;
        Ok(compacted)
    }
}

impl Heads {
    /// Whether the masks of rows that are left out are shut: their weights are 0 and their biases
    /// [`ALMOST_SHUT`] or less. So every reader of the file computes the same.
    pub(crate) fn left_out_are_shut(&self) -> Result<bool> {
        let gone = (1. - self.rows.to_tensor(self.mask_weight.device())?.flatten_all()?)?;
        let of_rows = gone.reshape(((), 1, 1, 1))?;
        let weights = self.mask_weight.abs()?.broadcast_mul(&of_rows)?.max_all()?;
        let above = (self.mask_bias.as_tensor() - f64::from(ALMOST_SHUT))?.relu()?;
        let above = (above * gone)?.max_all()?;
        Ok(weights.to_scalar::<f32>()? == 0. && above.to_scalar::<f32>()? == 0.)
    }

    /// Gives the rows that are left out weights of 0 and biases of [`SHUT`].
    fn shut_left_out(&self) -> Result<()> {
        let kept = self.rows.to_tensor(self.mask_weight.device())?.flatten_all()?;
        let of_rows = kept.reshape(((), 1, 1, 1))?;
        set(&self.mask_weight, &of_rows.broadcast_as(self.mask_weight.shape())?, 0.)?;
        set(&self.mask_bias, &kept, SHUT)
    }
}

/// Sets the values of a variable to `value` where `kept` is 0.
fn set(var: &Var, kept: &Tensor, value: f32) -> Result<()> {
    let values = Tensor::full(value, var.shape(), var.device())?;
    Ok(var.set(&kept.ne(0f64)?.where_cond(var.as_tensor(), &values)?)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::NetworkConfig;

    fn network(attributes: usize) -> Network {
        let config = NetworkConfig { attributes, channels: 3, ..Default::default() };
        Network::new(config, 7, &Device::Cpu).unwrap()
    }

    /// Contributions by hand: channel c of attribute 0 varies by c·0.1 around c.
    #[test]
    fn rows_of_least_deviation_go_until_the_tolerance_is_spent() {
        let network = network(1);
        network
            .heads()
            .readout_weight
            .set(&Tensor::ones((1, 3), candle_core::DType::F32, &Device::Cpu).unwrap())
            .unwrap();
        let mut statistics = RowStatistics::new(&network).unwrap();
        let images = Tensor::new(&[[[0f32, 0.9, 1.8]], [[0., 1.1, 2.2]]], &Device::Cpu).unwrap();
        statistics.add(&images).unwrap();
        // Deviations are 0, 0.1414 and 0.2828.
        let kept = |tolerance: f64| statistics.select(tolerance).unwrap().rows.of(0).to_vec();
        assert_eq!(kept(0.), [0, 1, 2]);
        assert_eq!(kept(1e-6), [1, 2]);
        assert_eq!(kept(0.2), [2]);
        assert_eq!(kept(0.42), [2]);
        assert_eq!(kept(0.43), [0usize; 0]);
        let selection = statistics.select(0.2).unwrap();
        assert!((selection.constants[0] - 1.).abs() < 1e-6);
        assert!((selection.deviations[0] - 0.02f64.sqrt()).abs() < 1e-6);
        assert!(statistics.select(-1.).is_err() && statistics.select(f64::NAN).is_err());
    }

    /// Contributions by hand: deviations of 0, 0.1, 0.4 of attribute 0 and of 0.3, 0.2, 0.5 of
    /// attribute 1, times √2.
    #[test]
    fn a_share_of_the_rows_goes_whatever_their_attribute() {
        let network = network(2);
        let ones = Tensor::ones((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        network.heads().readout_weight.set(&ones).unwrap();
        let mut statistics = RowStatistics::new(&network).unwrap();
        let image = |sign: f32| {
            let off = [[0f32, 0.1, 0.4], [0.3, 0.2, 0.5]].map(|row| row.map(|v| 1. + sign * v));
            Tensor::new(&[off], &Device::Cpu).unwrap()
        };
        statistics.add(&image(1.)).unwrap();
        assert!(statistics.select_share(0.5).is_err());
        statistics.add(&image(-1.)).unwrap();
        let selection = statistics.select_share(0.5).unwrap();
        assert_eq!((selection.rows.of(0), selection.rows.of(1)), (&[2][..], &[0, 2][..]));
        assert!((selection.constants[0] - 2.).abs() < 1e-6);
        assert!((selection.deviations[0] - 0.1 * 2f64.sqrt()).abs() < 1e-6);
        assert!((selection.deviations[1] - 0.2 * 2f64.sqrt()).abs() < 1e-6);
        assert_eq!(statistics.select_share(0.).unwrap().rows.count(), 6);
        assert_eq!(statistics.select_share(1.).unwrap().rows.count(), 0);
        assert!(statistics.select_share(1.1).is_err() && statistics.select_share(-0.1).is_err());
    }

    #[test]
    fn one_image_does_not_tell_how_much_a_row_varies() {
        let mut statistics = RowStatistics::new(&network(1)).unwrap();
        for images in [0, 1] {
            assert_eq!(
                statistics.select(0.1).unwrap_err().to_string(),
                format!("images = {images} is not possible: two images or more")
            );
            statistics.add(&Tensor::new(&[[[0f32, 1., 2.]]], &Device::Cpu).unwrap()).unwrap();
        }
        assert!(statistics.select(0.1).is_ok());
    }

    #[test]
    fn a_compacted_network_is_the_network_with_constants() {
        let network = network(2);
        let images = Tensor::randn(0f32, 1., (4, 3, 7, 6), &Device::Cpu).unwrap();
        let z = network.extractor().forward(&images).unwrap();
        let pooled = network.heads().pool(&z).unwrap().features;
        let rows = Rows::new(3, vec![vec![0, 2], vec![1]]).unwrap();
        let selection =
            Selection { rows: rows.clone(), constants: vec![0.5, -0.25], deviations: vec![0., 0.] };
        let compacted = network.compact(&selection).unwrap();
        let expected = {
            let kept = pooled.broadcast_mul(&rows.to_tensor(&Device::Cpu).unwrap()).unwrap();
            let logits = network.heads().read_out(&kept).unwrap();
            logits.broadcast_add(&Tensor::new(&[0.5f32, -0.25], &Device::Cpu).unwrap()).unwrap()
        };
        let difference = |network: &Network| {
            let logits = network.forward_features(&z).unwrap().logits;
            let off = (logits - &expected).unwrap().abs().unwrap().flatten_all().unwrap();
            off.to_vec1::<f32>().unwrap().into_iter().max_by(f32::total_cmp).unwrap()
        };
        assert!(difference(&compacted) < 1e-6);
        // So it is for a reader that knows nothing of rows.
        let dense = compacted.with_rows(Rows::all(2, 3)).unwrap();
        assert!(difference(&dense) < 1e-6);
        // The network itself is as it was.
        assert_eq!(network.heads().rows().count(), 6);
        let again = network.heads().pool(&z).unwrap().features;
        assert_eq!(again.to_vec3::<f32>().unwrap(), pooled.to_vec3::<f32>().unwrap());
    }

    #[test]
    fn nothing_left_out_changes_no_bit() {
        let network = network(2);
        let images = Tensor::randn(0f32, 1., (3, 3, 9, 9), &Device::Cpu).unwrap();
        let mut statistics = RowStatistics::new(&network).unwrap();
        let z = network.extractor().forward(&images).unwrap();
        statistics.add(&network.heads().pool(&z).unwrap().features).unwrap();
        let same = network.compact(&statistics.select(0.).unwrap()).unwrap();
        let logits = |n: &Network| n.forward(&images).unwrap().logits.to_vec2::<f32>().unwrap();
        assert_eq!(logits(&network), logits(&same));
    }
}
