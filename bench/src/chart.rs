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
    /// Whose colour it has.
    pub kind: Kind,
}

/// What kind of thing a bar is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// micro.
    Ours,
    /// A framework.
    Peer,
    /// What a framework could reach at most: transports with nothing above them.
    Limit,
}

impl Kind {
    /// Of the crate of a peer.
    pub fn of(peer: &str) -> Self {
        match peer {
            "ours" => Self::Ours,
            "raw" | "mux" => Self::Limit,
            _ => Self::Peer,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "peer",
            Self::Limit => "limit",
        }
    }
}

const WIDTH: usize = 760;
/// Between the edge and what is drawn.
const MARGIN: usize = 16;
const LABELS: usize = 210;
const VALUES: usize = 80;
const BAR: usize = 22;
const STEP: usize = 30;
const TOP: usize = 70;
/// Light and dark. Text has 7:1 on its page, bars have 3:1; a page of its own, since the one around it may
/// be light although the system is dark.
const STYLE: &str = "\
    .page { fill: #ffffff; stroke: #d1d9e0 } text { fill: #1f2328 } .quiet { fill: #4d5560 }\n\
    .ours { fill: #0969da } .peer { fill: #818b98 } .limit { fill: none; stroke: #818b98 }\n\
    @media (prefers-color-scheme: dark) {\n\
    .page { fill: #0d1117; stroke: #3d444d } text { fill: #f0f6fc } .quiet { fill: #a5adb7 }\n\
    .ours { fill: #4493f8 } .peer { fill: #7d8590 } .limit { fill: none; stroke: #7d8590 }\n\
    }\n";

/// Bars from the longest to the shortest, with a title and a line below it.
pub fn bars(title: &str, subtitle: &str, bars: &[Bar]) -> String {
    let mut bars = bars.to_vec();
    bars.sort_by(|one, other| other.value.total_cmp(&one.value));
    let longest = bars.first().map_or(1.0, |bar| bar.value);
    let height = TOP + bars.len() * STEP + MARGIN;
    let (title, subtitle) = (escaped(title), escaped(subtitle));
    let limits = bars.iter().any(|bar| bar.kind == Kind::Limit);
    let legend = if limits { "; hollow: transports without a framework" } else { "" };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n\
         <text x=\"{MARGIN}\" y=\"28\" font-size=\"16\" font-weight=\"600\">{title}</text>\n\
         <text class=\"quiet\" x=\"{MARGIN}\" y=\"50\">{subtitle}{legend}</text>\n",
        WIDTH - 1,
        height - 1,
    );
    for (at, bar) in bars.iter().enumerate() {
        let y = TOP + at * STEP;
        let room = (WIDTH - LABELS - VALUES - MARGIN) as f64;
        let length = (bar.value / longest * room).max(1.0);
        let class = bar.kind.class();
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
        let bar = |label: &str, value, peer| {
            let kind = Kind::of(peer);
            Bar { label: label.into(), value, kind }
        };
        let svg = bars("a < b", "c & d", &[bar("short", 1.0, "tonic"), bar("long", 10.0, "ours")]);
        assert!(svg.contains("class=\"ours\"") && !svg.contains("hollow"));
        assert!(svg.contains("a &lt; b") && svg.contains("c &amp; d"));
        assert!(svg.find(">long<") < svg.find(">short<"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
