//! Markdown tables of figures.

/// Head and rows of the same length, as a table whose columns line up.
pub fn markdown(head: &[String], rows: &[Vec<String>]) -> String {
    let columns = head.len();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(head.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &[String]| {
        let cells: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(column, &width)| {
                let cell = row.get(column).map_or("", String::as_str);
                // Names to the left, figures to the right.
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            })
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = |(column, width): (usize, &usize)| match column {
        0 => "-".repeat(*width),
        _ => format!("{}:", "-".repeat(width - 1)),
    };
    let rules: Vec<String> = widths.iter().enumerate().map(rule).collect();
    let rows: String = rows.iter().map(|row| line(row)).collect();
    format!("{}| {} |\n{rows}", line(head), rules.join(" | "))
}

/// A figure with two or three digits that count.
pub fn figure(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".into() };
    let (value, unit) = match value.abs() {
        large if large >= 1e6 => (value / 1e6, "M"),
        large if large >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}{unit}"),
        middle if middle >= 10.0 => format!("{value:.1}{unit}"),
        _ => format!("{value:.2}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let strings =
            |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let table = markdown(
            &strings(&["peer", "64 B x 1"]),
            &[strings(&["micro", "68k"]), strings(&["tonic TLS", "34k"])],
        );
        let wanted = "\
            | peer      | 64 B x 1 |\n\
            | --------- | -------: |\n\
            | micro     |      68k |\n\
            | tonic TLS |      34k |\n";
        assert_eq!(table, wanted);
    }

    #[test]
    fn figures_have_few_digits() {
        let text = |value| figure(Some(value));
        assert_eq!(text(1_234_567.0), "1.23M");
        assert_eq!(text(68_400.0), "68.4k");
        assert_eq!(text(329.4), "329");
        assert_eq!(text(12.34), "12.3");
        assert_eq!(text(0.987), "0.99");
        assert_eq!(figure(None), "-");
    }
}
