//! The shape of a network: its layers, and the name and shape of each of its tensors.
//!
//! Names and layouts are those of PyTorch's `state_dict()` for the modules in `tests/autoencoder/modules.py`.

use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::trained::UnknownName;

/// The kinds of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// Stacked long short-term memory (Hochreiter & Schmidhuber 1997), gates in the order i, f, g, o.
    Lstm,
    /// Stacked gated recurrent units (Cho et al. 2014) with a hidden bias of their own, gates in the order r, z, n.
    Gru,
    /// Convolutions over time with stride 2, and transposed convolutions back.
    Conv,
}

impl Network {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lstm, Self::Gru, Self::Conv];

    /// The name in specifications, and the prefix of its tensors in a model.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lstm => "lstm",
            Self::Gru => "gru",
            Self::Conv => "conv",
        }
    }

    /// Gates of a recurrent cell; `None` for a convolution.
    #[must_use]
    pub fn gates(self) -> Option<usize> {
        match self {
            Self::Lstm => Some(4),
            Self::Gru => Some(3),
            Self::Conv => None,
        }
    }
}

impl FromStr for Network {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let named = Self::ALL.into_iter().find(|network| network.name() == text);
        let (what, known) = ("network", "lstm, gru and conv");
        named.ok_or_else(|| UnknownName { name: text.to_owned(), what, known })
    }
}

/// Which row a recurrent decoder gives first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The oldest: row 0 of the output is row 0 of the window.
    #[default]
    Forward,
    /// The newest: row 0 of the output is the window's last row (Malhotra et al. 2016). It is what the encoder saw last, and
    /// its reconstruction takes one step.
    Reversed,
}

impl Order {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Forward, Self::Reversed];

    /// The name in specifications and models.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reversed => "reversed",
        }
    }
}

impl FromStr for Order {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let named = Self::ALL.into_iter().find(|order| order.name() == text);
        named.ok_or_else(|| UnknownName { name: text.to_owned(), what: "order", known: "forward and reversed" })
    }
}

/// An autoencoder of windows of `window` × `features` numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    /// The kind of its layers.
    pub network: Network,
    /// Values in a row.
    pub features: usize,
    /// Rows in a window. For a convolution a multiple of 2^`layers`.
    pub window: usize,
    /// The width of hidden layers.
    pub hidden: usize,
    /// Layers of the encoder, and as many of the decoder.
    pub layers: usize,
    /// Numbers that a window is reduced to; of a convolution the channels of its code.
    pub bottleneck: usize,
    /// Rows that a convolution spans, odd. Recurrent networks ignore it.
    pub kernel: usize,
    /// The order in which a recurrent network decodes. Convolutions ignore it.
    pub order: Order,
}

/// What an architecture's size is limited to, so that a model cannot ask for more memory or time than a batch has.
const FEATURES: RangeInclusive<usize> = 1..=1024;
const WINDOW: RangeInclusive<usize> = 2..=512;
const HIDDEN: RangeInclusive<usize> = 1..=512;
const LAYERS: RangeInclusive<usize> = 1..=4;
const KERNEL: RangeInclusive<usize> = 1..=31;

/// A size that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchitectureError {
    /// Outside of what is possible.
    #[error("`{name}` is {value}; it must lie between {least} and {most}")]
    Range {
        /// The size's name.
        name: &'static str,
        /// Its value.
        value: usize,
        /// The least that it may be.
        least: usize,
        /// The most that it may be.
        most: usize,
    },
    /// A kernel without a middle.
    #[error("`kernel` is {0}; it must be odd")]
    EvenKernel(usize),
    /// A window that strides of 2 do not divide.
    #[error("`window` is {window}; convolutions of {layers} layers need a multiple of {multiple}")]
    Window {
        /// Rows of the window.
        window: usize,
        /// Layers.
        layers: usize,
        /// What it must be a multiple of.
        multiple: usize,
    },
}

impl Architecture {
    /// Checks all sizes.
    ///
    /// # Errors
    ///
    /// The first size that is out of its range.
    pub fn check(&self) -> Result<(), ArchitectureError> {
        let Self { network, features, window, hidden, layers, bottleneck, kernel, .. } = *self;
        let sizes = [
            ("features", features, FEATURES),
            ("window", window, WINDOW),
            ("hidden", hidden, HIDDEN),
            ("layers", layers, LAYERS),
            ("bottleneck", bottleneck, HIDDEN),
        ];
        let kernel = (network == Network::Conv).then_some(("kernel", kernel, KERNEL));
        for (name, value, range) in sizes.into_iter().chain(kernel.clone()) {
            if !range.contains(&value) {
                return Err(ArchitectureError::Range { name, value, least: *range.start(), most: *range.end() });
            }
        }
        if let Some((_, kernel, _)) = kernel {
            if kernel % 2 == 0 {
                return Err(ArchitectureError::EvenKernel(kernel));
            }
            let multiple = 1 << layers;
            if window % multiple != 0 {
                return Err(ArchitectureError::Window { window, layers, multiple });
            }
        }
        Ok(())
    }

    /// Input and output channels of each convolution of the encoder; the decoder's are these backwards, turned round.
    #[must_use]
    pub fn channels(&self) -> Vec<(usize, usize)> {
        let width = |at: usize| match at {
            0 => self.features,
            at if at == self.layers => self.bottleneck,
            _ => self.hidden,
        };
        (0..self.layers).map(|at| (width(at), width(at + 1))).collect()
    }

    /// The name and shape of each tensor.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let Self { features, hidden, layers, bottleneck, kernel, .. } = *self;
        let mut tensors = Vec::new();
        let Some(gates) = self.network.gates() else {
            for (at, (input, output)) in self.channels().into_iter().enumerate() {
                tensors.push((format!("encoder.{at}.weight"), vec![output, input, kernel]));
                tensors.push((format!("encoder.{at}.bias"), vec![output]));
            }
            for (at, (output, input)) in self.channels().into_iter().rev().enumerate() {
                tensors.push((format!("decoder.{at}.weight"), vec![input, output, kernel]));
                tensors.push((format!("decoder.{at}.bias"), vec![output]));
            }
            return tensors;
        };
        let stack = |tensors: &mut Vec<_>, name: &str, first: usize| {
            for layer in 0..layers {
                let input = if layer == 0 { first } else { hidden };
                tensors.push((format!("{name}.weight_ih_l{layer}"), vec![gates * hidden, input]));
                tensors.push((format!("{name}.weight_hh_l{layer}"), vec![gates * hidden, hidden]));
                tensors.push((format!("{name}.bias_ih_l{layer}"), vec![gates * hidden]));
                tensors.push((format!("{name}.bias_hh_l{layer}"), vec![gates * hidden]));
            }
        };
        let linear = |tensors: &mut Vec<_>, name: &str, input: usize, output: usize| {
            tensors.push((format!("{name}.weight"), vec![output, input]));
            tensors.push((format!("{name}.bias"), vec![output]));
        };
        stack(&mut tensors, "encoder", features);
        linear(&mut tensors, "bottleneck", hidden, bottleneck);
        linear(&mut tensors, "expand", bottleneck, hidden);
        stack(&mut tensors, "decoder", hidden);
        linear(&mut tensors, "output", hidden, features);
        tensors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Architecture = Architecture {
        network: Network::Conv,
        features: 3,
        window: 16,
        hidden: 8,
        layers: 2,
        bottleneck: 4,
        kernel: 5,
        order: Order::Forward,
    };

    #[test]
    fn tensors_are_named_and_laid_out_as_pytorch_does() {
        let named = |architecture: Architecture| {
            let tensors = architecture.tensors().into_iter();
            tensors.map(|(name, shape)| format!("{name} {shape:?}")).collect::<Vec<_>>()
        };
        assert_eq!(
            named(SOME),
            [
                "encoder.0.weight [8, 3, 5]",
                "encoder.0.bias [8]",
                "encoder.1.weight [4, 8, 5]",
                "encoder.1.bias [4]",
                "decoder.0.weight [4, 8, 5]",
                "decoder.0.bias [8]",
                "decoder.1.weight [8, 3, 5]",
                "decoder.1.bias [3]",
            ]
        );
        let gru = named(Architecture { network: Network::Gru, ..SOME });
        assert_eq!(gru.len(), 22);
        assert_eq!(gru[..2], ["encoder.weight_ih_l0 [24, 3]", "encoder.weight_hh_l0 [24, 8]"]);
        assert_eq!(gru[8], "bottleneck.weight [4, 8]");
    }

    #[test]
    fn sizes_that_cannot_be_are_named() {
        SOME.check().unwrap();
        for (wrong, what) in [
            (Architecture { features: 0, ..SOME }, "`features` is 0; it must lie between 1 and 1024"),
            (Architecture { hidden: 513, ..SOME }, "`hidden` is 513"),
            (Architecture { kernel: 4, ..SOME }, "`kernel` is 4; it must be odd"),
            (Architecture { window: 18, ..SOME }, "`window` is 18; convolutions of 2 layers need a multiple of 4"),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        }
        Architecture { network: Network::Lstm, kernel: 0, window: 17, ..SOME }.check().unwrap();
    }
}
