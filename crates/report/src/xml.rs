//! Text in XML.

/// Text without the signs that XML lacks.
pub(crate) fn drawable(words: &str) -> String {
    words.replace(is_unknown, "\u{FFFD}")
}

fn is_unknown(sign: char) -> bool {
    sign.is_control() || matches!(sign, '\u{FFFE}' | '\u{FFFF}')
}

/// Text that stands for itself in XML.
pub(crate) fn escaped(text: &str) -> String {
    let sign = |c: char| match c {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '\n' => "\n".into(),
        c if is_unknown(c) => "\u{FFFD}".into(),
        c => String::from(c),
    };
    text.chars().map(sign).collect()
}
