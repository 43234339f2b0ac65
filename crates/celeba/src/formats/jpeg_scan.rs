//! Is the data of a JPEG file complete? Decoders fill missing data with grey and ignore surplus
//! data, but the entropy code itself shows both.
//!
//! This follows sequential Huffman coding (ITU T.81, annex F), which CelebA's images use, without
//! computing pixels. Progressive files are left to the decoder.

type Result<T> = std::result::Result<T, &'static str>;

const TRUNCATED: &str = "is truncated: its data ends before its last pixel";
const DAMAGED: &str = "is damaged: its data holds no code of its tables";

/// A Huffman table: for each code length the first code beyond it, and what to add to a code for
/// the index of its symbol.
#[derive(Clone, Default)]
struct Table {
    beyond: [u32; 17],
    offset: [i64; 17],
    symbols: Vec<u8>,
}

/// DC tables and AC tables, by number.
type Tables = [[Option<Table>; 4]; 2];

/// A colour component and its sampling factors.
#[derive(Clone, Copy)]
struct Component {
    id: u8,
    horizontal: usize,
    vertical: usize,
}

struct Frame {
    width: usize,
    height: usize,
    components: Vec<Component>,
}

/// Reads an entropy-coded segment bit by bit.
struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
    byte: u8,
    bits_left: u8,
}

/// Says what is wrong with the data of a JPEG file.
pub(super) fn check(bytes: &[u8]) -> super::Checked {
    check_segments(bytes).map_err(str::to_owned)
}

fn check_segments(bytes: &[u8]) -> Result<()> {
    let mut tables = Tables::default();
    let mut frame = None;
    let mut restart_interval = 0;
    let mut position = 2;
    loop {
        let marker = match bytes.get(position..) {
            Some([0xFF, 0xFF, ..]) => {
                position += 1;
                continue;
            }
            Some([0xFF, marker, ..]) => *marker,
            // The decoder judges what lies between segments.
            Some([_, ..]) => {
                position += 1;
                continue;
            }
            _ => return Err("is truncated: it has no JPEG end marker"),
        };
        if marker == 0xD9 {
            return Ok(());
        }
        if matches!(marker, 0 | 1 | 0xD0..=0xD8) {
            position += 2;
            continue;
        }
        let length = usize::from(read_u16(bytes, position + 2)?);
        let segment = bytes.get(position + 4..position + 2 + length).ok_or(TRUNCATED)?;
        position += 2 + length;
        match marker {
            0xC4 => read_tables(segment, &mut tables)?,
            0xC0 | 0xC1 => frame = Some(read_frame(segment)?),
            // Progressive, lossless, arithmetic.
            0xC2 | 0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Ok(()),
            0xDD => restart_interval = usize::from(read_u16(segment, 0)?),
            0xDA => {
                let frame = frame.as_ref().ok_or(DAMAGED)?;
                let data = BitReader { bytes, position, byte: 0, bits_left: 0 };
                position = check_scan(data, segment, frame, &tables, restart_interval)?;
            }
            _ => {}
        }
    }
}

fn read_u16(bytes: &[u8], position: usize) -> Result<u16> {
    bytes.get(position..position + 2).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or(TRUNCATED)
}

fn read_tables(mut segment: &[u8], tables: &mut Tables) -> Result<()> {
    while let [class_and_number, rest @ ..] = segment {
        let lengths = rest.get(..16).ok_or(DAMAGED)?;
        let count: usize = lengths.iter().map(|&n| usize::from(n)).sum();
        let mut table = Table {
            symbols: rest.get(16..16 + count).ok_or(DAMAGED)?.to_vec(),
            ..Table::default()
        };
        let mut code = 0u32;
        let mut first_symbol = 0i64;
        for (length, &n) in lengths.iter().enumerate() {
            table.offset[length + 1] = first_symbol - i64::from(code);
            code += u32::from(n);
            table.beyond[length + 1] = code;
            first_symbol += i64::from(n);
            code <<= 1;
        }
        let class = tables.get_mut(usize::from(class_and_number >> 4)).ok_or(DAMAGED)?;
        *class.get_mut(usize::from(class_and_number & 15)).ok_or(DAMAGED)? = Some(table);
        segment = &rest[16 + count..];
    }
    Ok(())
}

fn read_frame(segment: &[u8]) -> Result<Frame> {
    let components: Vec<Component> = segment
        .get(6..)
        .ok_or(DAMAGED)?
        .chunks_exact(3)
        .map(|c| Component {
            id: c[0],
            horizontal: usize::from(c[1] >> 4),
            vertical: usize::from(c[1] & 15),
        })
        .collect();
    let possible = |c: &Component| (1..=4).contains(&c.horizontal) && (1..=4).contains(&c.vertical);
    if components.is_empty() || !components.iter().all(possible) {
        return Err(DAMAGED);
    }
    Ok(Frame {
        width: read_u16(segment, 3)?.into(),
        height: read_u16(segment, 1)?.into(),
        components,
    })
}

impl Frame {
    /// How many units the scan of some components has. One component alone is coded block by
    /// block; several are interleaved in units of all their blocks.
    fn units(&self, components: &[Component]) -> usize {
        let horizontal = self.components.iter().map(|c| c.horizontal).max().unwrap_or(1);
        let vertical = self.components.iter().map(|c| c.vertical).max().unwrap_or(1);
        match components {
            [c] => {
                (self.width * c.horizontal).div_ceil(horizontal).div_ceil(8)
                    * (self.height * c.vertical).div_ceil(vertical).div_ceil(8)
            }
            _ => self.width.div_ceil(8 * horizontal) * self.height.div_ceil(8 * vertical),
        }
    }
}

/// Follows a scan. Returns the position of the marker after it.
fn check_scan(
    mut data: BitReader,
    header: &[u8],
    frame: &Frame,
    tables: &Tables,
    restart_interval: usize,
) -> Result<usize> {
    let count = usize::from(*header.first().ok_or(DAMAGED)?);
    let selectors = header.get(1..1 + 2 * count).ok_or(DAMAGED)?.chunks_exact(2);
    let table = |class: usize, number: u8| {
        tables[class].get(usize::from(number)).and_then(Option::as_ref).ok_or(DAMAGED)
    };
    // The tables of each block of a unit.
    let mut blocks = vec![];
    let mut components = vec![];
    for selector in selectors {
        let component = frame.components.iter().find(|c| c.id == selector[0]).ok_or(DAMAGED)?;
        let dc = table(0, selector[1] >> 4)?;
        let ac = table(1, selector[1] & 15)?;
        let repeats = if count == 1 { 1 } else { component.horizontal * component.vertical };
        blocks.extend(std::iter::repeat_n((dc, ac), repeats));
        components.push(*component);
    }
    for unit in 0..frame.units(&components) {
        if restart_interval > 0 && unit > 0 && unit % restart_interval == 0 {
            data.skip_restart_marker()?;
        }
        for (dc, ac) in &blocks {
            data.skip_block(dc, ac)?;
        }
    }
    match data.bytes.get(data.position..data.position + 2) {
        Some([0xFF, next]) if *next != 0 => Ok(data.position),
        _ => Err("is damaged: its data goes on after its last pixel"),
    }
}

impl BitReader<'_> {
    fn bit(&mut self) -> Result<u32> {
        if self.bits_left == 0 {
            self.byte = match self.bytes.get(self.position..self.position + 2) {
                Some([0xFF, 0]) => {
                    self.position += 1;
                    0xFF
                }
                Some([0xFF, _]) | None => return Err(TRUNCATED),
                Some(pair) => pair[0],
            };
            self.position += 1;
            self.bits_left = 8;
        }
        self.bits_left -= 1;
        Ok(u32::from(self.byte >> self.bits_left & 1))
    }

    fn symbol(&mut self, table: &Table) -> Result<u8> {
        let mut code = 0;
        for length in 1..17 {
            code = code << 1 | self.bit()?;
            if code < table.beyond[length] {
                let index =
                    usize::try_from(i64::from(code) + table.offset[length]).map_err(|_| DAMAGED)?;
                return table.symbols.get(index).copied().ok_or(DAMAGED);
            }
        }
        Err(DAMAGED)
    }

    fn skip_bits(&mut self, bits: u8) -> Result<()> {
        (0..bits).try_for_each(|_| self.bit().map(|_| ()))
    }

    /// Skips the 64 coefficients of a block.
    fn skip_block(&mut self, dc: &Table, ac: &Table) -> Result<()> {
        let size = self.symbol(dc)?;
        self.skip_bits(size.min(16))?;
        let mut coefficient = 1;
        while coefficient < 64 {
            let symbol = self.symbol(ac)?;
            match (symbol >> 4, symbol & 15) {
                (15, 0) => coefficient += 16,
                (_, 0) => break,
                (zeros, size) => {
                    coefficient += 1 + usize::from(zeros);
                    self.skip_bits(size)?;
                }
            }
        }
        if coefficient > 64 { Err(DAMAGED) } else { Ok(()) }
    }

    fn skip_restart_marker(&mut self) -> Result<()> {
        self.bits_left = 0;
        match self.bytes.get(self.position..self.position + 2) {
            Some([0xFF, 0xD0..=0xD7]) => self.position += 2,
            Some([0xFF, next]) if *next != 0 => return Err(TRUNCATED),
            _ => return Err(DAMAGED),
        }
        Ok(())
    }
}
