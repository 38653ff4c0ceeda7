//! Go's `fmt` for the values of a template: `print`, `println` and `printf`.
//!
//! Source: the documentation of Go's `fmt` package (go1.24). Invariant: a wrong verb or argument never
//! fails; it prints what Go prints (`%!d(string=x)`).

pub(crate) mod number;

use super::value::Value;

/// `fmt.Sprint`: a space stands between operands where neither is a string.
pub(crate) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    let mut after_string = true;
    for (i, value) in values.iter().enumerate() {
        let is_string = matches!(value, Value::Str(_));
        if i > 0 && !is_string && !after_string {
            out.push(' ');
        }
        out.push_str(&operand(value));
        after_string = is_string;
    }
    out
}

/// `fmt.Sprintln`.
pub(crate) fn println(values: &[Value]) -> String {
    let texts: Vec<_> = values.iter().map(operand).collect();
    texts.join(" ") + "\n"
}

/// A value as an operand of `fmt`, which does not follow pointers to structs as a template does.
fn operand(value: &Value) -> String {
    match value {
        Value::Nothing => "<nil>".to_owned(),
        Value::Sample(_) => format!("&{}", value.print()),
        _ => value.print(),
    }
}

/// The flags, width and precision of a verb.
#[derive(Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Spec {
    fn pad(&self, text: &str) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if missing == 0 {
            return text.to_owned();
        }
        if self.minus {
            return format!("{text}{}", " ".repeat(missing));
        }
        format!("{}{text}", " ".repeat(missing))
    }

    /// Pads a number: zeros go between the sign and the digits.
    fn pad_number(&self, text: &str) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.minus || !self.zero || missing == 0 {
            return self.pad(text);
        }
        let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-', ' '])));
        format!("{sign}{}{digits}", "0".repeat(missing))
    }

    fn signed(&self, text: String) -> String {
        if text.starts_with('-') || text.starts_with('+') {
            return text;
        }
        if self.plus {
            format!("+{text}")
        } else if self.space {
            format!(" {text}")
        } else {
            text
        }
    }
}

/// `fmt.Sprintf`.
pub(crate) fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    let mut args = Args { list: args, at: 0, reordered: false };
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.peek() {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                '0' => spec.zero = true,
                _ => break,
            }
            chars.next();
        }
        args.index(&mut chars);
        spec.width = args.size(&mut chars, &mut out, &mut spec.minus);
        if chars.peek() == Some(&'.') {
            chars.next();
            args.index(&mut chars);
            let mut ignored = false;
            spec.precision = Some(args.size(&mut chars, &mut out, &mut ignored).unwrap_or(0));
        }
        args.index(&mut chars);
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.take() {
                None => out.push_str(
                    &format!("%!{verb}(BADINDEX)")
                        .replace("BADINDEX", if args.reordered { "BADINDEX" } else { "MISSING" }),
                ),
                Some(value) => out.push_str(&verb_of(verb, value, &spec)),
            },
        }
    }
    if !args.reordered && args.at < args.list.len() {
        let extra: Vec<_> = args.list[args.at..]
            .iter()
            .map(|v| match v {
                Value::Nothing => "<nil>".to_owned(),
                v => format!("{}={}", v.type_name(), operand(v)),
            })
            .collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

/// The arguments of a format and which one is next.
struct Args<'a> {
    list: &'a [Value],
    at: usize,
    reordered: bool,
}

impl<'a> Args<'a> {
    fn take(&mut self) -> Option<&'a Value> {
        let value = self.list.get(self.at);
        self.at += 1;
        value
    }

    /// `[n]`: the next argument is the n-th.
    fn index(&mut self, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        if chars.peek() != Some(&'[') {
            return;
        }
        chars.next();
        let mut n = 0usize;
        for c in chars.by_ref() {
            match c.to_digit(10) {
                Some(d) => n = n.saturating_mul(10).saturating_add(d as usize),
                None => break,
            }
        }
        self.reordered = true;
        self.at = n.wrapping_sub(1);
    }

    /// A width or precision: digits, or `*` for one taken from the arguments.
    fn size(
        &mut self,
        chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
        out: &mut String,
        minus: &mut bool,
    ) -> Option<usize> {
        if chars.peek() == Some(&'*') {
            chars.next();
            return match self.take() {
                Some(Value::Int(n)) if n.unsigned_abs() <= 1_000_000 => {
                    *minus |= *n < 0;
                    usize::try_from(n.unsigned_abs()).ok()
                }
                _ => {
                    out.push_str("%!(BADWIDTH)");
                    None
                }
            };
        }
        let mut n: Option<usize> = None;
        while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
            n = Some(n.unwrap_or(0).saturating_mul(10).saturating_add(d as usize).min(1_000_000));
            chars.next();
        }
        n
    }
}

fn verb_of(verb: char, value: &Value, spec: &Spec) -> String {
    match (verb, value) {
        ('T', value) => spec.pad(value.type_name()),
        ('v', Value::Int(i)) => spec.pad_number(&spec.signed(i.to_string())),
        ('v', Value::Float(f)) => float(*f, 'g', spec),
        ('v', Value::Str(s)) if spec.sharp => spec.pad(&number::quote(s)),
        ('v', value) => spec.pad(&operand(value)),
        ('t', Value::Bool(b)) => spec.pad(&b.to_string()),
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(f)) => float(*f, verb, spec),
        ('d' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U', Value::Int(i)) => integer(*i, verb, spec),
        ('d', Value::Duration(ns)) => integer(*ns, verb, spec),
        ('s' | 'q' | 'x' | 'X', value) if is_stringlike(value) => {
            let text = operand(value);
            let cut: String = match spec.precision {
                Some(n) => text.chars().take(n).collect(),
                None => text,
            };
            match verb {
                's' => {
                    if spec.zero && !spec.minus {
                        let missing = spec.width.unwrap_or(0).saturating_sub(cut.chars().count());
                        return format!("{}{cut}", "0".repeat(missing));
                    }
                    spec.pad(&cut)
                }
                'q' => spec.pad(&number::quote(&cut)),
                _ => {
                    let hex: String = cut.bytes().map(|b| format!("{b:02x}")).collect();
                    spec.pad(&if verb == 'X' { hex.to_uppercase() } else { hex })
                }
            }
        }
        (verb, Value::Labels(labels)) => {
            let each = |text: &str| verb_of(verb, &Value::str(text), spec);
            let pairs: Vec<_> = labels.iter().map(|(n, v)| format!("{}:{}", each(n), each(v))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        (verb, Value::Nothing) => format!("%!{verb}(<nil>)"),
        (verb, value) => format!("%!{verb}({}={})", value.type_name(), operand(value)),
    }
}

/// Strings, and what prints itself.
fn is_stringlike(value: &Value) -> bool {
    matches!(value, Value::Str(_) | Value::Time(_) | Value::Duration(_) | Value::Histogram(_))
}

fn float(f: f64, verb: char, spec: &Spec) -> String {
    let text = match verb {
        'F' => number::float(f, 'f', Some(spec.precision.unwrap_or(6))),
        'e' | 'f' | 'E' => number::float(f, verb.to_ascii_lowercase(), Some(spec.precision.unwrap_or(6))),
        _ => number::float(f, 'g', spec.precision),
    };
    let text =
        if verb.is_ascii_uppercase() && verb != 'F' && f.is_finite() { text.to_uppercase() } else { text };
    let text = spec.signed(text);
    if !f.is_finite() {
        // Infinities and NaN are never padded with zeros.
        let plain = Spec { zero: false, ..*spec };
        return plain.pad(&text);
    }
    spec.pad_number(&text)
}

fn integer(i: i64, verb: char, spec: &Spec) -> String {
    let digits = match verb {
        'd' => i.unsigned_abs().to_string(),
        'b' => format!("{:b}", i.unsigned_abs()),
        'o' => format!("{:o}", i.unsigned_abs()),
        'O' => format!("0o{:o}", i.unsigned_abs()),
        'x' => format!("{}{:x}", if spec.sharp { "0x" } else { "" }, i.unsigned_abs()),
        'X' => format!("{}{:X}", if spec.sharp { "0X" } else { "" }, i.unsigned_abs()),
        'U' => return spec.pad(&format!("U+{i:04X}")),
        _ => {
            let c = u32::try_from(i).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
            return spec.pad(&if verb == 'q' { format!("'{c}'") } else { c.to_string() });
        }
    };
    let digits = match spec.precision {
        Some(n) => format!("{}{digits}", "0".repeat(n.saturating_sub(digits.len()))),
        None => digits,
    };
    let text = if i < 0 { format!("-{digits}") } else { digits };
    spec.pad_number(&spec.signed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_flags_and_mistakes() {
        let check = |format: &str, args: &[Value], want: &str| {
            assert_eq!(printf(format, args), want, "{format}");
        };
        let (f, i, s) = (Value::Float(1234.5678), Value::Int(-7), Value::str("go"));
        check(
            "%.2f|%8.1f|%-8.1f|%08.1f|%+.0f",
            &[f.clone(), f.clone(), f.clone(), f.clone(), f.clone()],
            "1234.57|  1234.6|1234.6  |001234.6|+1235",
        );
        check(
            "%e %g %v %.3g",
            &[f.clone(), f.clone(), f.clone(), f.clone()],
            "1.234568e+03 1234.5678 1234.5678 1.23e+03",
        );
        check(
            "%d|%5d|%-5d|%05d|%x",
            &[i.clone(), i.clone(), i.clone(), i.clone(), Value::Int(255)],
            "-7|   -7|-7   |-0007|ff",
        );
        check("%s|%5s|%-5s|%.1s|%q|%x", &vec![s.clone(); 6], "go|   go|go   |g|\"go\"|676f");
        check("%d", std::slice::from_ref(&s), "%!d(string=go)");
        check("%s", std::slice::from_ref(&f), "%!s(float64=1234.5678)");
        check("%d", &[], "%!d(MISSING)");
        check("x", std::slice::from_ref(&s), "x%!(EXTRA string=go)");
        check("100%", &[], "100%!(NOVERB)");
        check("%*d|%[2]s", &[Value::Int(4), Value::Int(1)], "   1|%!s(int=1)");
        check("%t %T %%", &[Value::Bool(true), f], "true float64 %");
    }
}
