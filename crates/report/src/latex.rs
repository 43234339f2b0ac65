//! Text in LaTeX.

/// Text in LaTeX, of which nothing is markup or joined to other signs.
pub(crate) fn escaped(text: &str) -> String {
    let signs: String = text.chars().map(latex_sign).collect();
    // Twice: the second of three is the first of the last two.
    signs.replace("--", "-{}-").replace("--", "-{}-")
}

fn latex_sign(sign: char) -> String {
    match sign {
        '&' | '%' | '$' | '#' | '_' | '{' | '}' => format!("\\{sign}"),
        '~' => "\\textasciitilde{}".into(),
        '^' => "\\textasciicircum{}".into(),
        '\\' => "\\textbackslash{}".into(),
        '<' => "\\textless{}".into(),
        '>' => "\\textgreater{}".into(),
        '|' => "\\textbar{}".into(),
        '`' => "\\textasciigrave{}".into(),
        '"' => "''".into(),
        // Behind the end of a row they would be its options.
        '[' | ']' | '*' => format!("{{{sign}}}"),
        '\n' | '\r' | '\t' => " ".into(),
        ' '..='~' => sign.into(),
        '–' => "\\textendash{}".into(),
        '—' => "\\textemdash{}".into(),
        '“' => "\\textquotedblleft{}".into(),
        '”' => "\\textquotedblright{}".into(),
        '‘' | '’' => "'".into(),
        '…' => "\\dots{}".into(),
        '−' => "$-$".into(),
        'À'..='ÿ' if !"ÐðÞþ×÷".contains(sign) => sign.into(),
        other => match SIGNS.iter().find(|(of, _)| *of == other) {
            Some((_, command)) => format!("${command}$"),
            None => format!("{{[}}U+{:04X}{{]}}", other as u32),
        },
    }
}

/// Signs in LaTeX's mathematics.
const SIGNS: [(char, &str); 61] = [
    ('α', "\\alpha"),
    ('β', "\\beta"),
    ('γ', "\\gamma"),
    ('δ', "\\delta"),
    ('ε', "\\varepsilon"),
    ('ζ', "\\zeta"),
    ('η', "\\eta"),
    ('θ', "\\theta"),
    ('κ', "\\kappa"),
    ('λ', "\\lambda"),
    ('μ', "\\mu"),
    ('µ', "\\mu"),
    ('ν', "\\nu"),
    ('ξ', "\\xi"),
    ('π', "\\pi"),
    ('ρ', "\\rho"),
    ('σ', "\\sigma"),
    ('τ', "\\tau"),
    ('φ', "\\varphi"),
    ('χ', "\\chi"),
    ('ψ', "\\psi"),
    ('ω', "\\omega"),
    ('Γ', "\\Gamma"),
    ('Δ', "\\Delta"),
    ('Θ', "\\Theta"),
    ('Λ', "\\Lambda"),
    ('Π', "\\Pi"),
    ('Σ', "\\Sigma"),
    ('Φ', "\\Phi"),
    ('Ψ', "\\Psi"),
    ('Ω', "\\Omega"),
    ('×', "\\times"),
    ('÷', "\\div"),
    ('·', "\\cdot"),
    ('±', "\\pm"),
    ('→', "\\to"),
    ('←', "\\leftarrow"),
    ('∈', "\\in"),
    ('≤', "\\leq"),
    ('≥', "\\geq"),
    ('≠', "\\neq"),
    ('≈', "\\approx"),
    ('∞', "\\infty"),
    ('√', "\\surd"),
    ('∂', "\\partial"),
    ('∫', "\\int"),
    ('⊗', "\\otimes"),
    ('‖', "\\|"),
    ('°', "^\\circ"),
    ('½', "\\frac{1}{2}"),
    ('⁰', "^0"),
    ('¹', "^1"),
    ('²', "^2"),
    ('³', "^3"),
    ('⁺', "^+"),
    ('⁻', "^-"),
    ('₀', "_0"),
    ('₁', "_1"),
    ('₂', "_2"),
    ('₃', "_3"),
    ('ᵏ', "^k"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sign_is_markup_or_unknown_to_latex() {
        let of = |text: &str| escaped(text);
        assert_eq!(of("|w·p| < 2²"), "\\textbar{}w$\\cdot$p\\textbar{} \\textless{} 2$^2$");
        assert_eq!(of("[a] *b*"), "{[}a{]} {*}b{*}");
        assert_eq!(of("--celeba ---"), "-{}-celeba -{}-{}-");
        assert_eq!(of("中é"), "{[}U+4E2D{]}é");
        let every: String = (' '..='~').chain(SIGNS.map(|(sign, _)| sign)).collect();
        assert!(of(&every).is_ascii());
    }
}
