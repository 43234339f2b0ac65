//! Is a JPEG file's data whole? Decoders fill what is missing with grey, and pass over what is too
//! much; the code itself tells both.
//!
//! Sequential Huffman coding (ITU T.81, annex F), which CelebA's images use, is followed without
//! computing pixels. Progressive files are left to the decoder.

/// A Huffman table: for each length the first code beyond it, and the place of its first symbol.
#[derive(Clone, Default)]
struct Table {
    beyond: [u32; 17],
    offset: [i64; 17],
    symbols: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Component {
    id: u8,
    across: usize,
    down: usize,
}

struct Frame {
    width: usize,
    height: usize,
    components: Vec<Component>,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    byte: u8,
    left: u8,
}

type Result<T> = std::result::Result<T, &'static str>;

const EARLY: &str = "is truncated: its data ends before its last pixel";
const DAMAGED: &str = "is damaged: its data holds no code of its tables";

/// Says what is wrong with a JPEG file's data.
pub(crate) fn check(bytes: &[u8]) -> Result<()> {
    let mut tables: [[Option<Table>; 4]; 2] = Default::default();
    let (mut frame, mut interval, mut at) = (None, 0, 2);
    loop {
        let marker = match bytes.get(at..) {
            Some([0xFF, 0xFF, ..]) => {
                at += 1;
                continue;
            }
            Some([0xFF, marker, ..]) => *marker,
            // What lies between segments is for the decoder to judge.
            Some([_, ..]) => {
                at += 1;
                continue;
            }
            _ => return Err("is truncated: it has no JPEG end marker"),
        };
        if marker == 0xD9 {
            return Ok(());
        }
        if matches!(marker, 0 | 1 | 0xD0..=0xD8) {
            at += 2;
            continue;
        }
        let length = usize::from(number(bytes, at + 2)?);
        let segment = bytes.get(at + 4..at + 2 + length).ok_or(EARLY)?;
        at += 2 + length;
        match marker {
            0xC4 => define(segment, &mut tables)?,
            0xC0 | 0xC1 => frame = Some(read_frame(segment)?),
            // Progressive, lossless, arithmetic.
            0xC2 | 0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Ok(()),
            0xDD => interval = usize::from(number(segment, 0)?),
            0xDA => {
                at = scan(bytes, at, segment, frame.as_ref().ok_or(DAMAGED)?, &tables, interval)?
            }
            _ => {}
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u16> {
    bytes.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or(EARLY)
}

fn define(mut segment: &[u8], tables: &mut [[Option<Table>; 4]; 2]) -> Result<()> {
    while let [kind, rest @ ..] = segment {
        let lengths = rest.get(..16).ok_or(DAMAGED)?;
        let count: usize = lengths.iter().map(|&n| usize::from(n)).sum();
        let mut table = Table {
            symbols: rest.get(16..16 + count).ok_or(DAMAGED)?.to_vec(),
            ..Table::default()
        };
        let (mut code, mut first) = (0u32, 0i64);
        for (length, &n) in lengths.iter().enumerate() {
            table.offset[length + 1] = first - i64::from(code);
            code += u32::from(n);
            table.beyond[length + 1] = code;
            first += i64::from(n);
            code <<= 1;
        }
        *tables
            .get_mut(usize::from(kind >> 4))
            .and_then(|class| class.get_mut(usize::from(kind & 15)))
            .ok_or(DAMAGED)? = Some(table);
        segment = &rest[16 + count..];
    }
    Ok(())
}

fn read_frame(segment: &[u8]) -> Result<Frame> {
    let of = |c: &[u8]| Component {
        id: c[0],
        across: usize::from(c[1] >> 4),
        down: usize::from(c[1] & 15),
    };
    let components: Vec<Component> =
        segment.get(6..).ok_or(DAMAGED)?.chunks_exact(3).map(of).collect();
    match components.is_empty()
        || components.iter().any(|c| !(1..=4).contains(&c.across) || !(1..=4).contains(&c.down))
    {
        true => Err(DAMAGED),
        false => Ok(Frame {
            width: number(segment, 3)?.into(),
            height: number(segment, 1)?.into(),
            components,
        }),
    }
}

/// Follows a scan; returns where the marker after it is.
fn scan(
    bytes: &[u8],
    at: usize,
    segment: &[u8],
    frame: &Frame,
    tables: &[[Option<Table>; 4]; 2],
    interval: usize,
) -> Result<usize> {
    let count = usize::from(*segment.first().ok_or(DAMAGED)?);
    let selectors = segment.get(1..1 + 2 * count).ok_or(DAMAGED)?.chunks_exact(2);
    let (mut blocks, mut alone) = (vec![], None);
    for selector in selectors {
        let component = frame.components.iter().find(|c| c.id == selector[0]).ok_or(DAMAGED)?;
        let table = |class: usize, id: u8| {
            tables[class].get(usize::from(id)).and_then(Option::as_ref).ok_or(DAMAGED)
        };
        let own = (table(0, selector[1] >> 4)?, table(1, selector[1] & 15)?);
        let of_unit = if count == 1 { 1 } else { component.across * component.down };
        blocks.extend(std::iter::repeat_n(own, of_unit));
        alone = Some(component);
    }
    let (across, down) =
        frame.components.iter().fold((1, 1), |(a, d), c| (a.max(c.across), d.max(c.down)));
    let units = match alone {
        Some(c) if count == 1 => {
            (frame.width * c.across).div_ceil(across).div_ceil(8)
                * (frame.height * c.down).div_ceil(down).div_ceil(8)
        }
        _ => frame.width.div_ceil(8 * across) * frame.height.div_ceil(8 * down),
    };
    let mut bits = Bits { bytes, at, byte: 0, left: 0 };
    for unit in 0..units {
        if interval > 0 && unit > 0 && unit % interval == 0 {
            bits.restart()?;
        }
        for (dc, ac) in &blocks {
            bits.block(dc, ac)?;
        }
    }
    match bytes.get(bits.at..bits.at + 2) {
        Some([0xFF, next]) if *next != 0 => Ok(bits.at),
        _ => Err("is damaged: its data goes on after its last pixel"),
    }
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<u32> {
        if self.left == 0 {
            self.byte = match self.bytes.get(self.at..self.at + 2) {
                Some([0xFF, 0]) => {
                    self.at += 1;
                    0xFF
                }
                Some([0xFF, _]) | None => return Err(EARLY),
                Some(pair) => pair[0],
            };
            self.at += 1;
            self.left = 8;
        }
        self.left -= 1;
        Ok(u32::from(self.byte >> self.left & 1))
    }

    fn symbol(&mut self, table: &Table) -> Result<u8> {
        let mut code = 0;
        for length in 1..17 {
            code = code << 1 | self.bit()?;
            if code < table.beyond[length] {
                let place =
                    usize::try_from(i64::from(code) + table.offset[length]).map_err(|_| DAMAGED)?;
                return table.symbols.get(place).copied().ok_or(DAMAGED);
            }
        }
        Err(DAMAGED)
    }

    fn skip(&mut self, bits: u8) -> Result<()> {
        (0..bits).try_for_each(|_| self.bit().map(|_| ()))
    }

    fn block(&mut self, dc: &Table, ac: &Table) -> Result<()> {
        let size = self.symbol(dc)?;
        self.skip(size.min(16))?;
        let mut k = 1;
        while k < 64 {
            let symbol = self.symbol(ac)?;
            match (symbol >> 4, symbol & 15) {
                (15, 0) => k += 16,
                (_, 0) => break,
                (zeros, size) => {
                    k += 1 + usize::from(zeros);
                    self.skip(size)?;
                }
            }
        }
        if k > 64 { Err(DAMAGED) } else { Ok(()) }
    }

    /// Passes a restart marker.
    fn restart(&mut self) -> Result<()> {
        self.left = 0;
        match self.bytes.get(self.at..self.at + 2) {
            Some([0xFF, 0xD0..=0xD7]) => self.at += 2,
            Some([0xFF, next]) if *next != 0 => return Err(EARLY),
            _ => return Err(DAMAGED),
        }
        Ok(())
    }
}
