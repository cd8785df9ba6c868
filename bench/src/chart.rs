//! Bar charts as SVG, drawn for light and dark pages.

use std::fmt::Write;

use crate::table::figure;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Whose.
    pub label: String,
    /// How much.
    pub value: f64,
    /// One of ours.
    pub ours: bool,
}

const WIDTH: usize = 760;
const LABELS: usize = 210;
const VALUES: usize = 80;
const BAR: usize = 22;
const STEP: usize = 30;
const TOP: usize = 56;

/// Bars from the longest to the shortest, with a title and a line below it.
pub fn bars(title: &str, subtitle: &str, bars: &[Bar]) -> String {
    let mut bars = bars.to_vec();
    bars.sort_by(|one, other| other.value.total_cmp(&one.value));
    let longest = bars.first().map_or(1.0, |bar| bar.value);
    let height = TOP + bars.len() * STEP + 10;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\">\n\
         <title>{}</title>\n\
         <style>\n\
         text {{ fill: #1f2328 }} .quiet {{ fill: #59636e }}\n\
         .ours {{ fill: #0969da }} .peer {{ fill: #afb8c1 }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         text {{ fill: #f0f6fc }} .quiet {{ fill: #9198a1 }}\n\
         .ours {{ fill: #4493f8 }} .peer {{ fill: #656c76 }}\n\
         }}\n\
         </style>\n\
         <text x=\"0\" y=\"18\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
         <text class=\"quiet\" x=\"0\" y=\"38\">{}</text>\n",
        escaped(title),
        escaped(title),
        escaped(subtitle),
    );
    for (at, bar) in bars.iter().enumerate() {
        let y = TOP + at * STEP;
        let room = (WIDTH - LABELS - VALUES) as f64;
        let length = (bar.value / longest * room).max(1.0);
        let class = if bar.ours { "ours" } else { "peer" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LABELS - 10,
            y + 16,
            escaped(&bar.label),
            LABELS as f64 + length + 8.0,
            y + 16,
            figure(Some(bar.value)),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_first_and_text_is_escaped() {
        let bar = |label: &str, value| Bar { label: label.into(), value, ours: value > 5.0 };
        let svg = bars("a < b", "c & d", &[bar("short", 1.0), bar("long", 10.0)]);
        assert!(svg.contains("a &lt; b") && svg.contains("c &amp; d"));
        assert!(svg.find(">long<") < svg.find(">short<"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
