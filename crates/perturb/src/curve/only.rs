//! A tone curve on chosen masks.

use foresee_kernels::{ClosedForm, ToneCurve};

/// A curve that acts on chosen attributes and channels only. Other masks stay as they are.
#[derive(Debug, Clone)]
pub struct Only<T> {
    curve: T,
    attributes: Option<Vec<usize>>,
    channels: Option<Vec<usize>>,
}

impl<T: ToneCurve> Only<T> {
    /// `curve` on these attributes and channels; `None` means all.
    ///
    /// ```
    /// use foresee_perturb::{Only, PowerCurve, ToneCurve};
    ///
    /// let curve = Only::new(PowerCurve::new(2., 0.)?, None, Some(vec![3]));
    /// let mut masks = [[0.25f32], [0.25]];
    /// curve.apply(0, 3, &mut masks[0]);
    /// curve.apply(0, 4, &mut masks[1]);
    /// assert_eq!(masks, [[0.125], [0.25]]);
    /// # Ok::<(), foresee_perturb::Error>(())
    /// ```
    pub fn new(curve: T, attributes: Option<Vec<usize>>, channels: Option<Vec<usize>>) -> Self {
        Self { curve, attributes, channels }
    }

    fn chooses(&self, attribute: usize, channel: usize) -> bool {
        let contains = |list: &Option<Vec<usize>>, index: usize| {
            list.as_ref().is_none_or(|list| list.contains(&index))
        };
        contains(&self.attributes, attribute) && contains(&self.channels, channel)
    }
}

impl<T: ToneCurve> ToneCurve for Only<T> {
    fn apply(&self, attribute: usize, channel: usize, mask: &mut [f32]) {
        if self.chooses(attribute, channel) {
            self.curve.apply(attribute, channel, mask);
        }
    }

    fn is_identity(&self) -> bool {
        self.curve.is_identity()
    }

    fn closed_form(&self, attribute: usize, channel: usize) -> Option<ClosedForm> {
        match self.chooses(attribute, channel) {
            true => self.curve.closed_form(attribute, channel),
            false => Some(ClosedForm::IDENTITY),
        }
    }
}
