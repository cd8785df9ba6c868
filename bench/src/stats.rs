//! Medians, ratios and spreads.

/// The median; the mean of the middle two of an even number. None of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Largest minus smallest, as a part of the median. Zero of less than two values.
pub fn spread(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    match median(values) {
        Some(median) if values.len() > 1 && median != 0.0 => (largest - smallest) / median,
        _ => 0.0,
    }
}

/// The ratio of each round that both have a figure for. Ratios of one round share its noise; the ratio of
/// two medians does not.
pub fn ratios(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Vec<f64> {
    let both = |(ours, theirs): (&Option<f64>, &Option<f64>)| Some((*ours)? / (*theirs)?);
    ours.iter().zip(theirs).filter_map(both).filter(|ratio| ratio.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn the_spread_is_relative() {
        assert_eq!(spread(&[]), 0.0);
        assert_eq!(spread(&[5.0]), 0.0);
        assert_eq!(spread(&[9.0, 10.0, 12.0]), 0.3);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let ours = [Some(10.0), None, Some(30.0), Some(1.0)];
        let theirs = [Some(5.0), Some(1.0), Some(10.0), Some(0.0)];
        assert_eq!(ratios(&ours, &theirs), [2.0, 3.0]);
    }
}
